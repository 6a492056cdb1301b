"""Which windows are good enough to learn from."""

from __future__ import annotations

from typing import Literal

from primus_sdk.windowing.quality import Quality

LEAST_COVERAGE = 0.9
"""Share of a window that must have been measured: up to half a second of an example may be filled gaps."""
MOST_SATURATED = 0.02
"""Share of a sensor's samples that may stand at the end of its range: 5 of 250; a knock, not a stretch of movement."""
LEAST_HZ = 45.0
"""Samples a second of either sensor: what a 50 Hz device with `LEAST_COVERAGE` still delivers."""

Poor = Literal["gaps", "saturated", "slow"]
"""Why a window is too poor an example, by the constants above."""


def poor(quality: Quality, least_hz: float = LEAST_HZ) -> Poor | None:
    """Why a window of this quality is no example; none where it is good enough."""
    if quality.coverage < LEAST_COVERAGE:
        return "gaps"
    if quality.saturated > MOST_SATURATED:
        return "saturated"
    if min(quality.accelerometer_hz, quality.gyroscope_hz) < least_hz:
        return "slow"
    return None
