from __future__ import annotations

import numpy as np
import pytest

from primus_models.errors import DataSetError
from primus_models.preparation.sources.resampling import grid_of
from primus_sdk.recordings import Recording, Samples
from primus_sdk.recordings.windows import windows_of

S = 1_000_000_000


def part(samples: Samples, keep: np.ndarray) -> Samples:
    return Samples(samples.timestamps_ns[keep], samples.values[keep])


@pytest.mark.parametrize("rate", [50, 200, 1000])
def test_a_window_is_the_streams_own_to_the_last_bit(moving, rate: int) -> None:
    accelerometer, gyroscope = moving(13.37, rate)
    grid = grid_of(accelerometer, gyroscope)
    windows = windows_of(Recording("a", "u", "l", accelerometer, gyroscope), 0.02)
    assert len(windows) == len(grid.runs[0][1].T) - 249 > 400
    for window in windows:
        assert np.array_equal(grid.window(window.start_ns), window.imu)


def test_a_gap_of_over_a_second_splits_the_take_as_it_does_a_stream(moving) -> None:
    accelerometer, gyroscope = moving(30, 100)
    t = accelerometer.timestamps_ns / 1e9
    keep = (t < 12.3) | (t > 13.5)
    accelerometer = part(accelerometer, keep)  # of one sensor is enough
    grid = grid_of(accelerometer, gyroscope)
    assert len(grid.runs) == 2
    for window in windows_of(Recording("a", "u", "l", accelerometer, gyroscope), 1.0):
        assert np.array_equal(grid.window(window.start_ns), window.imu)
    for start in (8, 9, 12):
        with pytest.raises(DataSetError, match="a gap of the IMU of more than a second"):
            grid.window(start * S)
    with pytest.raises(DataSetError, match="begins in a gap"):
        grid.window(13 * S)
    assert grid.window(7 * S).shape == grid.window(14 * S).shape == (6, 250)


def test_a_gap_of_under_a_second_is_bridged(moving) -> None:
    accelerometer, gyroscope = moving(12, 100)
    t = accelerometer.timestamps_ns / 1e9
    keep = (t < 5) | (t > 5.9)
    grid = grid_of(part(accelerometer, keep), part(gyroscope, keep))
    assert len(grid.runs) == 1
    assert np.isfinite(grid.window(3 * S)).all()


@pytest.mark.parametrize(("seconds", "missing"), [(10.0, 0), (9.98, 0), (9.979, 1), (9.9, 4), (9.88, 5)])
def test_what_overruns_by_up_to_100_ms_is_zero_padded(moving, seconds: float, missing: int) -> None:
    window = grid_of(*moving(seconds, 1000)).window(5 * S)
    zero = (window == 0).all(axis=0)
    assert zero.sum() == missing
    assert zero[250 - missing :].all()


def test_what_overruns_by_more_or_lies_outside_is_refused(moving) -> None:
    grid = grid_of(*moving(9.87, 1000))
    with pytest.raises(DataSetError, match=r"ends 0\.12 s before it does; at most 0\.1 s"):
        grid.window(5 * S)
    with pytest.raises(DataSetError, match=r"ends at 9\.88 s, before it begins"):
        grid.window(20 * S)
    late = grid_of(*(Samples(s.timestamps_ns + 2 * S, s.values) for s in moving(9, 100)))
    with pytest.raises(DataSetError, match=r"begins at 2\.00 s, after it does"):
        late.window(0)
    with pytest.raises(DataSetError, match="before it begins"):
        grid_of(*(part(s, np.zeros(len(s.values), bool)) for s in moving(1, 100))).window(0)


def test_samples_that_no_sensor_gives_are_left_out_as_a_stream_does(moving) -> None:
    accelerometer, gyroscope = moving(9, 100)
    accelerometer.values[100] = np.nan
    gyroscope.values[300] = 1e9
    grid = grid_of(accelerometer, gyroscope)
    for window in windows_of(Recording("a", "u", "l", accelerometer, gyroscope), 1.0):
        assert np.isfinite(window.imu).all()
        assert np.array_equal(grid.window(window.start_ns), window.imu)


def test_a_sensor_that_delivers_an_hour_more_than_the_other_loses_nothing(moving) -> None:
    accelerometer, _ = moving(1500, 50)
    _, gyroscope = moving(30, 50)
    assert grid_of(accelerometer, gyroscope).runs[0][1].shape[1] == 1501
