"""IEC 62056-21 text data sets."""
