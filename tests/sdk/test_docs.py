"""The guide's Python runs as it stands, in order, as a reader would copy it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

GUIDE = Path(__file__).parents[2] / "docs" / "integrate.md"
RATE = 100


class Device:
    """Somebody wearing glasses that report g and deg/s, at 100 Hz."""

    def __init__(self) -> None:
        self._random, self._now = np.random.default_rng(0), 1_700_000_000_000_000_000

    def recorded(self, what: str, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Times (ns), accelerometer (n, 3) in g, gyroscope (n, 3) in deg/s."""
        t = np.arange(int(seconds * RATE)) / RATE
        times = self._now + (t * 1e9).astype(np.int64)
        self._now = int(times[-1]) + 10_000_000
        acceleration = self._random.normal(0, 0.002, (len(t), 3)) + np.array([0.12, 0.99, 0.05])
        rotation = self._random.normal(0, 0.2, (len(t), 3))
        if what == "walking":
            acceleration[:, 1] += 0.25 * np.sin(2 * np.pi * 1.9 * t)
            acceleration[:, 0] += 0.1 * np.sin(2 * np.pi * 0.95 * t)
            rotation[:, 2] += 20 * np.sin(2 * np.pi * 1.9 * t)
        elif what == "nodding":
            rotation[:, 0] += 60 * np.sin(2 * np.pi * 0.7 * t)
            acceleration[:, 2] += 0.2 * np.sin(2 * np.pi * 0.7 * t)
        elif what == "sitting":
            rotation[:, 1] += 6 * np.sin(2 * np.pi * 0.15 * t)
        return times, acceleration, rotation


def test_every_block_of_the_guide_runs(tmp_path, capsys) -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    names = {"recorded": Device().recorded, "folder": tmp_path / "heads"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"integrate.md, block {number + 1}", "exec"), names)
    said = capsys.readouterr().out
    assert len(blocks) >= 8
    assert names["pose"].ok, names["pose"].findings
    assert set(names["calibrator"].counts) == {"walking", "sitting", "nodding"}
    assert said.count("nodding") >= 10  # what the last block recognised
    assert list((tmp_path / "heads").iterdir())
