"""Two minutes of `make soak`, so that it keeps running: its faults, its pushes, and the offline path beside them."""

from __future__ import annotations

from multiprocessing import Pipe
from threading import Thread

import numpy as np
import offline
import soak

from primus_sdk.windowing.windows import WindowStream


def test_a_few_faulty_minutes_equal_the_offline_path() -> None:
    stream, windows = WindowStream(soak.HOP), []
    for number in range(2):
        windows += [window for one in soak.minute_of_pushes(3, 0, number) for window in soak.push(stream, *one)]
    windows += stream.flush()
    minutes = [soak.minute(3, 0, number) for number in range(2)]
    sensors = [tuple(np.concatenate([m[side][c] for m in minutes]) for c in (0, 1)) for side in (0, 1)]
    expected = offline.windows([(sensors[0], sensors[1])], offline.Options(hop_s=soak.HOP))
    assert [w.start_ns for w in windows] == [w[0] for w in expected.windows]
    assert max(np.abs(w.imu - e[2]).max() for w, e in zip(windows, expected.windows, strict=True)) < 1e-4
    assert len(windows) > 50
    assert stream.dropped.late + stream.dropped.invalid > 0


def test_what_is_streamed_is_what_is_fed() -> None:
    samples, source = Pipe(duplex=False)
    feeding = Thread(target=soak.feed, args=(1, 3, source), daemon=True)
    feeding.start()
    for number in range(60):
        minutes = zip(soak.received(samples), soak.minute_of_pushes(3, 0, number), strict=True)
        assert all(a[0] == b[0] and (a[1] == b[1]).all() and np.array_equal(a[2], b[2], True) for a, b in minutes)
    feeding.join()
