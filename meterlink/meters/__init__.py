"""Meter families: which transport, protocol, objects and commands each one knows.

A family is a profile file in ``profiles/`` and, where the wire needs it, one small module.
"""
