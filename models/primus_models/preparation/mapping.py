"""Where the work of preparing is done: here, take after take; `on_ray.py` spreads it over a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from primus_sdk.errors import PrimusError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Failed:
    """What a function gives in place of its result: one line that says why there is none.

    fatal: the same would befall every other item.
    """

    why: str
    fatal: bool = False


class Mapper(Protocol):
    """Calls a function on many items; the function and the items can be pickled, and it gives the same anywhere."""

    def map(self, function: Callable[[T], R], items: Sequence[T], gpus: float = 0) -> Iterator[tuple[int, R]]:
        """Each item's place and result, in the order in which they come to be done. gpus: that one call needs."""
        ...


class Here:
    """One item after the other, in this process."""

    def map(self, function: Callable[[T], R], items: Sequence[T], gpus: float = 0) -> Iterator[tuple[int, R]]:
        """See `Mapper.map`."""
        for place, item in enumerate(items):
            yield place, function(item)


class Report(Protocol):
    """Who is told how far preparing has come."""

    def begin(self, what: str, total: int, done: int) -> None:
        """Work of so many steps begins, some of which were done before."""
        ...

    def step(self) -> None:
        """One step is done."""
        ...

    def say(self, line: str) -> None:
        """Something that a person should know."""
        ...


class Silent:
    """A report to nobody."""

    def begin(self, what: str, total: int, done: int) -> None:
        """See `Report.begin`."""

    def step(self) -> None:
        """See `Report.step`."""

    def say(self, line: str) -> None:
        """See `Report.say`."""


def why(error: Exception) -> str:
    """An error as one line: those of ours speak for themselves, others are named."""
    words = " ".join(str(error).split())
    if isinstance(error, PrimusError):
        return words
    return f"{type(error).__name__}: {words}"[:300]
