"""Faults on the way between client and meter: bytes, frames and messages that are lost, doubled, altered or late."""
