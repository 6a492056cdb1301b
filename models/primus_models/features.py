"""The yardstick: features that a practitioner would compute by hand, for a linear classifier beside the embedding's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from primus_models.graph import Array

_BANDS = 12
_LARGEST_HZ = 15.0


def handcrafted(windows: Array) -> Array:
    """123 features a window `(n, 6, 250)` -> `(n, 123)`.

    Of the six axes and the magnitudes of acceleration and rotation rate: mean, log standard deviation, and log power
    in 12 bands up to 15 Hz; then the acceleration axes' correlations and log mean change per sample of each signal's
    magnitude.
    """
    acceleration, rate = windows[:, :3], windows[:, 3:]
    magnitudes = np.stack([np.linalg.norm(acceleration, axis=1), np.linalg.norm(rate, axis=1)], axis=1)
    signals = np.concatenate([windows, magnitudes], axis=1).astype(np.float64)  # (n, 8, 250)
    mean = signals.mean(axis=2)
    centred = signals - mean[:, :, None]
    deviation = centred.std(axis=2)
    spectrum = np.abs(np.fft.rfft(centred * np.hanning(signals.shape[2]), axis=2)) ** 2
    edges = np.searchsorted(np.fft.rfftfreq(signals.shape[2], 1 / 50), np.linspace(0.2, _LARGEST_HZ, _BANDS + 1))
    bands = np.stack([spectrum[:, :, a:b].mean(axis=2) for a, b in pairwise(edges)], axis=2)
    scaled = centred[:, :3] / (deviation[:, :3, None] + 1e-6)
    correlations = [(scaled[:, a] * scaled[:, b]).mean(axis=1) for a, b in ((0, 1), (0, 2), (1, 2))]
    change = np.abs(np.diff(signals, axis=2)).mean(axis=2)
    parts = [mean, np.log(deviation + 1e-3), np.log(bands + 1e-4).reshape(len(windows), -1), np.log(change + 1e-4)]
    return np.concatenate([*parts, np.stack(correlations, axis=1)], axis=1).astype(np.float32)
