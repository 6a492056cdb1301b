from __future__ import annotations

import numpy as np
import pytest

from primus_models.data import Signal
from primus_models.evaluation.data import Labelled, from_signals


@pytest.fixture(scope="session")
def data() -> Labelled:
    """Six people who do three things that differ in tilt and pace, 40 s each: 8 windows of each."""
    signals = []
    for user in range(1, 7):
        generator = np.random.default_rng(user)
        t = np.arange(2000) / 50
        for label, angle, pace in (("lying", 1.4, 0.1), ("sitting", 0.0, 0.2), ("running", 0.2, 2.6)):
            imu = generator.normal(0, 0.05, (6, len(t)))
            imu[0] += 9.81 * np.sin(angle + 0.02 * user)
            imu[1] += 9.81 * np.cos(angle + 0.02 * user) + pace * np.sin(2 * np.pi * pace * t)
            imu[3] += pace * np.cos(2 * np.pi * pace * t)
            signals.append(Signal(str(user), label, imu.astype(np.float32)))
    return from_signals("made", signals)
