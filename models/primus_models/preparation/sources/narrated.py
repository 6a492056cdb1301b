"""Windows around what a narrator said: where they lie in a take, and which cannot be used."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from primus_models.errors import DataSetError, NoWindowError
from primus_models.graph import Array
from primus_models.preparation.sources.base import TakeWindows, Video
from primus_models.preparation.sources.resampling import Grid

SECONDS = 5
_LEAST_S = SECONDS - 0.1  # a window may overrun by less than 100 ms; so may a take be shorter
_S = 1_000_000_000
_MOST_LIST_BYTES = 256 << 20


@dataclass(frozen=True)
class Narration:
    """A caption, and the second of its take that it is about."""

    second: float
    caption: str


@dataclass(frozen=True)
class Narrated:
    """What is to be cut of a take.

    Attributes:
        take: names its windows, `<take>_<start>_<end>`.
        seconds: how long the take is. narrations: in any order.
        label: of all its windows. hop: seconds between windows without narration; None: there shall be none.
        bad: names of windows to leave out.
    """

    take: str
    seconds: float
    narrations: tuple[Narration, ...]
    label: str | None = None
    hop: int | None = None
    bad: frozenset[str] = field(default_factory=frozenset)


def start_of(second: float, seconds: float) -> int:
    """Where the window of a narration begins: 2.5 s before, down to a whole second, moved inside of the take."""
    return max(0, min(math.floor(second - SECONDS / 2), math.floor(seconds - SECONDS)))


def checked_length(take: str, seconds: float | None) -> None:
    """See that a take is as long as a window by its publishers: a file that is shorter may be half a download.

    Raises:
        NoWindowError: it is not.
    """
    if seconds is not None and seconds < _LEAST_S:
        raise NoWindowError(f"{take} is shorter than 5 s ({seconds:.2f} s by its publishers): it has no window")


def cut(grid: Grid, wanted: Narrated, video: Path | None = None) -> TakeWindows:
    """The windows of a take, ordered by their start; what cannot be used is named.

    A narration beyond the take's end or before its start is left out, and so is a second one of the same window and
    caption (without a word: nothing is lost).

    Raises:
        DataSetError: the take is shorter than 5 s, or what there is of it is.
    """
    if min(wanted.seconds, grid.end_s) < _LEAST_S:
        raise DataSetError(
            f"{wanted.take} is shorter than 5 s ({min(wanted.seconds, grid.end_s):.2f} s): it has no window"
        )
    left_out: dict[str, str] = {}
    kept: list[tuple[int, Array, str | None]] = []
    for start, caption in _places(wanted, grid, left_out):
        name = f"{wanted.take}_{start}_{start + SECONDS}"
        if name in wanted.bad:
            left_out[name] = "it is in the list of bad windows"
            continue
        try:
            kept.append((start, grid.window(start * _S), caption))
        except DataSetError as error:
            left_out[name] = str(error)
    starts = np.array([start for start, _, _ in kept], np.int64)
    return TakeWindows(
        np.stack([window for _, window, _ in kept]) if kept else np.empty((0, 6, 250), np.float32),
        starts * _S,
        (wanted.label,) * len(kept),
        tuple(caption for _, _, caption in kept),
        Video(video, starts.astype(np.float64)) if video is not None else None,
        left_out,
    )


def _places(wanted: Narrated, grid: Grid, left_out: dict[str, str]) -> list[tuple[int, str | None]]:
    """Starts and captions, in order of time."""
    within = [n for n in wanted.narrations if 0 <= n.second <= wanted.seconds]
    if outside := len(wanted.narrations) - len(within):
        left_out[f"{wanted.take}: narrations outside"] = (
            f"{outside} before the take's start or after its end at {wanted.seconds:.2f} s"
        )
    narrated = sorted({(start_of(n.second, wanted.seconds), n.caption) for n in within})
    return sorted(
        [*narrated, *((start, None) for start in _silent(wanted, within, min(wanted.seconds, grid.end_s)))],
        key=lambda place: place[0],
    )


def _silent(wanted: Narrated, narrations: Iterable[Narration], until: float) -> list[int]:
    """Starts of windows up to there in which nothing is said."""
    if wanted.hop is None:
        return []
    starts = np.arange(0, math.floor(until - SECONDS) + 1, wanted.hop)
    seconds = np.sort([narration.second for narration in narrations])
    spoken = np.searchsorted(seconds, starts) < np.searchsorted(seconds, starts + SECONDS, side="right")
    # Where a narration's window was moved, or begins on a whole second, it may be the same one.
    taken = {start_of(second, wanted.seconds) for second in seconds.tolist()}
    return [start for start, said in zip(starts.tolist(), spoken, strict=True) if not said and start not in taken]


def checked_hop(hop: int | None) -> None:
    """See that a hop for windows without narration is one.

    Raises:
        DataSetError: it is neither None nor whole seconds from 1 to 86400.
    """
    if hop is not None and (isinstance(hop, bool) or not isinstance(hop, int) or not 1 <= hop <= 86_400):
        raise DataSetError(f"the hop of windows without narration is {hop!r}; expected whole seconds, 1 to 86400")


def read_bad(file: Path | None) -> frozenset[str]:
    """The names in a list of bad windows: one a line, in quotes and with commas or not (so a JSON list of them, too).

    Starts and ends may be written as 12 or 12.0.

    Raises:
        DataSetError: it cannot be read, or a line is no `<take>_<start>_<end>`.
    """
    if file is None:
        return frozenset()
    try:
        if file.stat().st_size > _MOST_LIST_BYTES:
            raise DataSetError(f"{file} is larger than {_MOST_LIST_BYTES >> 20} MB: no list of bad windows")
        text = file.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataSetError(f"cannot read the list of bad windows {file} ({error})") from error
    names = set()
    for word in text.replace(",", "\n").splitlines():
        name = word.strip("[]\"' \t")
        if not name:
            continue
        take, *ends = name.rsplit("_", 2)
        try:
            start, end = (int(float(end)) for end in ends)
        except (ValueError, OverflowError) as error:
            raise DataSetError(f"{file} names {name!r:.100}; expected <take_uid>_<start>_<end>, one a line") from error
        names.add(f"{take}_{start}_{end}")
    return frozenset(names)
