"""A window's frames out of a video file, with PyAV: ten moments evenly over it, and the frame nearest to each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import DataSetError, TowerError
from primus_models.towers.base import FRAMES
from primus_models.towers.loading import EXTRA, short

WINDOW_S = 5.0
_JUMP_S = 8.0
"""A gap to the next moment that is sought over and not decoded."""

Frames = NDArray[np.uint8]


@dataclass
class _Moment:
    """One of a window's moments: seconds from the first frame, and of the frame that was found the nearest."""

    window: int
    second: float
    begin: float
    frame: Frames | None = None

    def takes(self, second: float) -> bool:
        return self.begin <= second < self.begin + WINDOW_S


@dataclass
class _Shown:
    """A decoded frame, made into an array once and only if it is wanted."""

    second: float
    frame: Any
    side: int | None
    made: list[Frames] = field(default_factory=list)

    def array(self) -> Frames:
        if not self.made:
            self.made.append(_array(self.frame, self.side))
        return self.made[0]


def window_frames(file: Path, start_s: NDArray[np.float64], side: int | None = None) -> list[Frames | None]:
    """The frames of each window: uint8 `(10, h, w, 3)`, RGB; none where the video has no frame within its 5 s.

    start_s `(n,)`: seconds from the video's first frame. side: pixels that the shorter side is scaled to, if it is
    longer. The video is decoded once for windows that overlap.

    Raises:
        DataSetError: the file is missing, damaged, or holds no video. TowerError: PyAV is not installed.
    """
    try:
        av: Any = importlib.import_module("av")
    except ImportError as error:
        raise TowerError(f"a video tower needs PyAV, which is not installed: {EXTRA}") from error
    moments = [
        _Moment(window, float(begin) + (place + 0.5) * WINDOW_S / FRAMES, float(begin))
        for window, begin in enumerate(start_s)
        for place in range(FRAMES)
    ]
    if not file.is_file():
        raise DataSetError(f"there is no video {file}")
    try:
        # A video is one file: a list of other files or addresses that is named like one is not followed.
        with av.open(str(file.absolute()), options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise DataSetError(f"{file} holds no video")
            _fill(container, container.streams.video[0], sorted(moments, key=lambda moment: moment.second), side)
    except (av.FFmpegError, OSError, ValueError, ArithmeticError) as error:
        if isinstance(error, DataSetError):
            raise
        raise DataSetError(f"the video {file} is damaged or not whole ({short(error)})") from error
    return [_window(moments[place : place + FRAMES]) for place in range(0, len(moments), FRAMES)]


def _fill(container: Any, stream: Any, moments: list[_Moment], side: int | None) -> None:
    """Give each moment its frame; moments come in the order of time."""
    first = None if stream.start_time is None else float(stream.start_time * stream.time_base)
    done, before = 0, None
    while done < len(moments):
        target = max(moments[done].begin, 0.0)
        if first is not None and (target > _JUMP_S or before is not None):
            container.seek(int((target + first) / stream.time_base), stream=stream)
        sought = done
        for frame in container.decode(stream):
            if frame.time is None:
                continue
            first = float(frame.time) if first is None else first
            shown = _Shown(float(frame.time) - first, frame, side)
            while done < len(moments) and moments[done].second <= shown.second:
                _choose(moments[done], before, shown)
                done += 1
            before = shown
            if done == len(moments) or (done > sought and moments[done].begin - shown.second > _JUMP_S):
                break
        else:  # the video ends before the moments do
            for moment in moments[done:]:
                _choose(moment, before, None)
            return


def _choose(moment: _Moment, before: _Shown | None, after: _Shown | None) -> None:
    inside = [shown for shown in (before, after) if shown is not None and moment.takes(shown.second)]
    if inside:
        moment.frame = min(inside, key=lambda shown: abs(shown.second - moment.second)).array()


def _window(moments: list[_Moment]) -> Frames | None:
    """A window's frames; a moment that has none, where the video begins or ends within the window, takes the next."""
    there = [place for place, moment in enumerate(moments) if moment.frame is not None]
    if not there:
        return None
    nearest = [moments[min(there, key=lambda at: (abs(at - place), at))].frame for place in range(len(moments))]
    return np.stack([frame for frame in nearest if frame is not None])


def _array(frame: Any, side: int | None) -> Frames:
    width, height, settings = frame.width, frame.height, {}
    shorter = min(width, height)
    if side is not None and shorter > side:
        width, height = max(side, width * side // shorter), max(side, height * side // shorter)
        settings = {"interpolation": "BICUBIC"}
    array: Frames = frame.reformat(width=width, height=height, format="rgb24", threads=1, **settings).to_ndarray()
    return array
