"""Two minutes of `make soak`, so that it keeps running: its faults, its pushes, and the offline path beside them."""

from __future__ import annotations

import numpy as np
import offline
import soak

from primus_sdk.windowing.windows import WindowStream


def test_a_few_faulty_minutes_equal_the_offline_path() -> None:
    stream, windows = WindowStream(soak.HOP), []
    for number in range(2):
        windows += soak.stream_minute(stream, 3, 0, number)
    windows += stream.flush()
    minutes = [soak.minute(3, 0, number) for number in range(2)]
    sensors = [tuple(np.concatenate([m[side][c] for m in minutes]) for c in (0, 1)) for side in (0, 1)]
    expected = offline.windows([(sensors[0], sensors[1])], offline.Options(hop_s=soak.HOP))
    assert [w.start_ns for w in windows] == [w[0] for w in expected.windows]
    assert max(np.abs(w.imu - e[2]).max() for w, e in zip(windows, expected.windows, strict=True)) < 1e-4
    assert len(windows) > 50
    assert stream.dropped.late + stream.dropped.invalid > 0
