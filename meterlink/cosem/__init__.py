"""The COSEM application layer (IEC 62056-5-3, -6-2), without I/O."""
