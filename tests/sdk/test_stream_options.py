"""What a stream can be asked for, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from primus_sdk.errors import StreamError
from primus_sdk.windows import WindowStream


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hop_seconds": 0.03}, "multiple of 0.02"),
        ({"hop_seconds": 0.0}, "0.02 or more"),
        ({"hop_seconds": float("nan")}, "multiple of 0.02"),
        ({"accelerometer_unit": "mg"}, "one of 'm/s.2', 'g'"),
        ({"gyroscope_unit": "rpm"}, "'rad/s', 'deg/s'"),
        ({"mount": np.eye(3) * 2}, "rotation"),
        ({"mount": np.diag([1, 1, -1])}, "determinant"),
        ({"mount": np.full((3, 3), np.nan)}, "rotation"),
        ({"mount": "up"}, "numbers"),
    ],
)
def test_wrong_options_are_refused_and_named(options, message) -> None:
    with pytest.raises(StreamError, match=message):
        WindowStream(**options)
