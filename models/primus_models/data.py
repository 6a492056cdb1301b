"""Recordings as training and evaluation read them: 50 Hz signals through the SDK's own stream, split by person."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import TrainingError
from primus_models.graph import WINDOW, Array
from primus_sdk.recordings import Recording, classyglass
from primus_sdk.recordings.windows import windows_of

WINDOW_SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class Signal:
    """What one person did without a break: imu `(6, n)` float32 at 50 Hz, m/s^2 and rad/s, n a multiple of 250."""

    user: str
    label: str
    imu: Array


def read_classyglass(path: str | os.PathLike[str]) -> list[Signal]:
    """The signals of ClassyGlass 1A and 1B; path as for `primus_sdk.recordings.classyglass.read`.

    Raises:
        RecordingError: it cannot be read.
    """
    return [signal for recording in classyglass.read(os.fspath(path)) for signal in signals_of(recording)]


def signals_of(recording: Recording) -> list[Signal]:
    """A recording's windows, one after the other, joined where one begins as the last one ends."""
    joined: list[list[Array]] = []
    end = None
    for window in windows_of(recording, WINDOW_SECONDS):
        if window.start_ns != end:
            joined.append([])
        joined[-1].append(window.imu)
        end = window.end_ns
    return [Signal(recording.user, recording.label, np.concatenate(parts, axis=1)) for parts in joined]


def held_out(users: Iterable[str]) -> list[str]:
    """The users that training never sees: every fifth in numerical order (of ClassyGlass: 5, 10, 15, 20 and 25)."""
    return sorted(set(users), key=int)[4::5]


def split(signals: list[Signal]) -> tuple[list[Signal], list[Signal]]:
    """Signals of the users to train on, and of those held out.

    Raises:
        TrainingError: fewer than five users, so nobody can be held out.
    """
    out = held_out(signal.user for signal in signals)
    if not out:
        raise TrainingError("data of at least five people are needed, of whom every fifth is held out")
    return [s for s in signals if s.user not in out], [s for s in signals if s.user in out]


def windows(signals: list[Signal]) -> tuple[Array, NDArray[np.str_], NDArray[np.str_]]:
    """All 5 s windows side by side, without overlap: imu `(n, 6, 250)`, labels `(n,)`, users `(n,)`."""
    cut = [(s.imu.reshape(6, -1, WINDOW).transpose(1, 0, 2), s) for s in signals]
    imu = np.concatenate([part for part, _ in cut])
    labels = np.concatenate([np.repeat(s.label, len(part)) for part, s in cut])
    users = np.concatenate([np.repeat(s.user, len(part)) for part, s in cut])
    return np.ascontiguousarray(imu), labels, users
