"""Fitting a head on the device: how long it takes, and what a prior is worth.

    python benchmarks/calibrate.py [--json]
    python benchmarks/calibrate.py --data classyglass-1AB.tar.xz [--json]

The first times 10 classes of 50 shots beside scikit-learn's solver of the same problem. The shots are real: the
released encoder's embeddings of the watch recordings that `make demo` uses. They hold seven exercises; every other
recording of one counts as a class of its own. Both reach the optimum; `largest difference` is that of any class
probability.

`--data` prints what `DEFAULT_PRIOR_C` and `UNSEEN_SHOTS` were chosen by: macro-F1 and log loss on people whom the
encoder has never seen, of a head fitted from nothing and from a factory head as its prior. See `priors.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from sklearn.linear_model import LogisticRegression

import primus_sdk
import priors
from primus_sdk.calibration.fit import DEFAULT_C, fit_head
from primus_sdk.recordings import watch
from primus_sdk.recordings.windows import windows_of
from timing import interleaved

CLASSES, SHOTS = 10, 50


def shots() -> tuple[np.ndarray, list[str]]:
    """Embeddings `(500, 512)` and their labels."""
    by_class: dict[str, list[np.ndarray]] = {}
    for number, recording in enumerate(watch.read()):
        held = by_class.setdefault(f"{recording.label} {number % 2}", [])
        held += [window.imu for window in windows_of(recording, hop_seconds=2.0)]
    chosen = [(label, windows) for label, windows in sorted(by_class.items()) if len(windows) >= SHOTS][:CLASSES]
    picked = [windows[index] for _, windows in chosen for index in np.linspace(0, len(windows) - 1, SHOTS).astype(int)]
    with primus_sdk.load() as recogniser:
        return recogniser.embed(np.stack(picked)), [label for label, _ in chosen for _ in range(SHOTS)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="turns of each solver, five fits each (default 10)")
    parser.add_argument("--data", type=Path, help="ClassyGlass, folder or archive: compare priors instead of times")
    parser.add_argument("--trials", type=int, default=4, help="draws of the shots for each person (default 4)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    if arguments.data:
        priors.compare(arguments.data, arguments.trials, arguments.json)
        return 0
    embeddings, labels = shots()
    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0, dtype=np.float64)
    scaled = centred / np.sqrt(np.mean(centred**2))
    peer = LogisticRegression(C=DEFAULT_C, tol=1e-8, max_iter=1000)
    expected = peer.fit(scaled, labels).predict_proba(scaled)
    fits = {"primus_sdk": fit_head}
    differences = {
        name: float(np.abs(fit(embeddings, labels, "any").probabilities(embeddings) - expected).max())
        for name, fit in fits.items()
    }
    candidates: dict[str, Callable[[], object]] = {
        name: lambda fit=fit: fit(embeddings, labels, "any") for name, fit in fits.items()
    }
    timings = interleaved(candidates | {"scikit-learn": lambda: peer.fit(scaled, labels)}, arguments.rounds)
    ratio = timings["primus_sdk"].median / timings["scikit-learn"].median
    if arguments.json:
        figures = {name: asdict(timing) for name, timing in timings.items()}
        largest = differences["primus_sdk"]
        print(json.dumps({"microseconds": figures, "ratio": ratio, "largest_difference": largest}, indent=2))
        return 0
    for name, timing in timings.items():
        print(f"{name:13s} {timing.median / 1000:6.1f} ms  (p5 {timing.p5 / 1000:.1f}, p95 {timing.p95 / 1000:.1f})")
    for name, difference in differences.items():
        print(f"{name:13s} largest difference from scikit-learn {difference:.1e}")
    print(f"ratio {ratio:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
