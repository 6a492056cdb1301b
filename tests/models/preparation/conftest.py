from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from primus_sdk.recordings import Samples

Moving = Callable[..., tuple[Samples, Samples]]


@pytest.fixture(scope="session")
def moving() -> Moving:
    """Make both sensors of a head that sways: seconds and rate -> samples with a jittering clock that begins at 0."""

    def make(seconds: float, rate: float = 200.0, seed: int = 0) -> tuple[Samples, Samples]:
        generator = np.random.default_rng(seed)
        count = round(seconds * rate) + 1
        jitter = generator.uniform(-0.2, 0.2, count) / rate
        jitter[[0, -1]] = 0
        t = np.arange(count) / rate + jitter
        phases = generator.uniform(0, 6, 6)
        values = np.sin(t[:, None] * generator.uniform(1, 9, 6) + phases)
        values[:, 0] -= 9.81
        times = np.round(t * 1e9).astype(np.int64)
        return Samples(times, values[:, :3].copy()), Samples(times, values[:, 3:] * 0.5)

    return make


@pytest.fixture(scope="session")
def aria_file() -> Path:
    pytest.importorskip("projectaria_tools", reason="needs projectaria-tools, of the extra prepare")
    file = Path(__file__).parents[4] / "shared" / "data" / "aria-recording.vrs"
    if not file.is_file():
        pytest.skip("needs ../shared/data/aria-recording.vrs, a published excerpt that is not in the repository")
    return file
