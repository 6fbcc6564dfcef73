"""Meter families: which transport, protocol, objects and commands each one knows."""
