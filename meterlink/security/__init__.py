"""DLMS security suites 0, 1 and 2: protection, authentication, key agreement."""
