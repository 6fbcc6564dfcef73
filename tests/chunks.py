"""A stream as a line may hand it over: in any pieces."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st


def in_any_chunks(wire: bytes, data: st.DataObject) -> Iterator[bytes]:
    """Give all of ``wire`` in pieces whose sizes are drawn."""
    while wire:
        size = data.draw(st.integers(1, len(wire)))
        yield wire[:size]
        wire = wire[size:]
