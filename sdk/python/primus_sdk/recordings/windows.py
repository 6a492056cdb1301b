"""The windows of a recording."""

from __future__ import annotations

from primus_sdk.recordings import Recording
from primus_sdk.recordings.turns import pieces
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import Window, WindowStream


def windows_of(recording: Recording, hop_seconds: float = 1.0, sensors: Sensors = Sensors()) -> list[Window]:
    """Cut a recording by the very stream that runs live, so that training, replay and device see the same windows.

    Raises:
        StreamError: as `WindowStream`.
    """
    stream = WindowStream(hop_seconds, sensors)
    windows: list[Window] = []
    for sensor, times, values in pieces(recording.accelerometer, recording.gyroscope):
        push = stream.push_accelerometer if sensor == "accelerometer" else stream.push_gyroscope
        windows += push(times, values)
    return windows + stream.flush()
