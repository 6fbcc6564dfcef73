"""Frames and data links, without I/O."""
