"""What a stream can be asked for, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from primus_sdk.errors import StreamError
from primus_sdk.windowing.quality import FaultPolicy
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import WindowStream


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hop_seconds": 0.03}, "multiple of 0.02"),
        ({"hop_seconds": 0.0}, "0.02 or more"),
        ({"hop_seconds": float("nan")}, "multiple of 0.02"),
        ({"hop_seconds": float("inf")}, "a day at most"),
        ({"hop_seconds": 1e300}, "a day at most"),
        ({"hop_seconds": 86_400.02}, "a day at most"),
    ],
)
def test_wrong_options_are_refused_and_named(options, message) -> None:
    with pytest.raises(StreamError, match=message):
        WindowStream(**options)


def test_the_longest_hop_gives_one_window_a_day() -> None:
    stream, times = WindowStream(86_400.0), np.arange(1000, dtype=np.int64) * 20_000_000
    found = stream.push(times, np.ones((1000, 6))) + stream.push(times + 86_400 * 10**9, np.ones((1000, 6)))
    assert len(found + stream.flush()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accelerometer_unit": "mg"}, "one of 'm/s.2', 'g'"),
        ({"gyroscope_unit": "rpm"}, "'rad/s', 'deg/s'"),
        ({"mount": np.eye(3) * 2}, "rotation"),
        ({"mount": np.diag([1, 1, -1])}, "determinant"),
        ({"mount": np.full((3, 3), np.nan)}, "rotation"),
        ({"mount": "up"}, "numbers"),
        ({"convention": "iOS"}, "'android', 'ios'"),
        ({"accelerometer_range": 0}, "above 0"),
    ],
)
def test_wrong_sensors_are_refused_and_named(options, message) -> None:
    with pytest.raises(StreamError, match=message):
        Sensors(**options)


@pytest.mark.parametrize(
    "options", [{"fill_s": 0.0}, {"fill_s": float("nan")}, {"reset_s": 9.0}, {"reset_s": 0.05}, {"reorder_s": -0.1}]
)
def test_wrong_policies_are_refused_and_named(options) -> None:
    with pytest.raises(StreamError, match=f"{next(iter(options))} is .* expected"):
        FaultPolicy(**options)
