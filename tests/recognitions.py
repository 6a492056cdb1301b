"""Made recognitions, and a stream's clock, for tests of what is collected from a stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from primus_sdk.calibration.calibrator import Calibrator, Outcome
from primus_sdk.errors import WindowError
from primus_sdk.streaming.recognition import Recognition
from primus_sdk.windowing.quality import Quality
from primus_sdk.windowing.windows import Window

ENCODER = "ab" * 32
SECOND = 1_000_000_000
GOOD = Quality(1.0, 0.02, 50.0, 50.0, 0.1, 0.0, still=False, after_reset=False)


class Fake:
    """Embeds a window as its mean, after a call of `before`; one whose mean is above 20 is refused."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.head, self.closed, self.before = None, False, before

    def embed(self, windows: np.ndarray) -> np.ndarray:
        self.before()
        if windows.mean() > 20:
            raise WindowError("made to fail")
        return np.full(512, windows.mean(), np.float32)

    def when_closed(self, sleeper: object) -> None:
        pass


@dataclass
class Clock:
    newest_ns: int | None = 0
    mount: np.ndarray | None = None

    def at(self, seconds: float) -> None:
        self.newest_ns = round(seconds * SECOND)


def window(start_s: float, held: bool = False, seed: int = 0, **quality: object) -> Recognition:
    start = round(start_s * SECOND)
    imu = np.zeros((6, 250), np.float32)
    embedding = np.random.default_rng(seed + start % 997).normal(size=512).astype(np.float32)
    return Recognition(
        Window(imu, start, start + 5 * SECOND, GOOD._replace(**quality)),
        None,
        embedding,
        held,  # type: ignore[arg-type]
    )


def bout(calibrator: Calibrator, clock: Clock, label: str, begin: float, end: float) -> list[Outcome]:
    """A bout with the windows that a stream with a hop of 1 s gives in it."""
    clock.at(begin)
    calibrator.begin(label)
    clock.at(end)
    outcomes = [calibrator.add(window(start)) for start in np.arange(begin, end - 4.99)]
    calibrator.end()
    return outcomes
