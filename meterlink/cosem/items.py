"""The elements of long arrays, kept as the octets that came and read again whenever they are looked at.

As Python objects a value takes up to forty times its octets, and what a meter sends may be half a megabyte of small
ones. So runs of elements of one shape, and the contents of compact arrays, stay octets until somebody walks over them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, overload

_T_co = TypeVar("_T_co", covariant=True)


class LazyItems(Sequence[_T_co]):
    """The elements of an array: what a tuple of them is, equal to it, but made anew for each walk.

    Walking is as fast as it is for a tuple that must be made first; an index walks up to that element.
    """

    __slots__ = ()

    @abstractmethod
    def __iter__(self) -> Iterator[_T_co]: ...

    @overload
    def __getitem__(self, index: int) -> _T_co: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[_T_co, ...]: ...

    def __getitem__(self, index: int | slice) -> _T_co | tuple[_T_co, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return next(islice(self, place, None))

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, LazyItems | tuple):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        # Short: whoever logs or debugs a task has its result written, too.
        return f"<{len(self)} elements>"
