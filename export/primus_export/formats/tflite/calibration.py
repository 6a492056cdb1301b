"""What each matrix is multiplied with in use, read off the NumPy reference on the calibration windows."""

from __future__ import annotations

import numpy as np

from primus_export.formats.tflite.quantize import Matrix
from primus_models import reference
from primus_models.graph import GRU, Array, Graph

WINDOWS = 64
"""As many calibration windows, evenly spaced, are looked at: each gives a row for every step of a GRU."""


class Seen:
    """The graph's values on the calibration windows."""

    def __init__(self, graph: Graph, calibration: Array) -> None:
        spaced = calibration[:: max(1, len(calibration) // WINDOWS)][:WINDOWS]
        self.values = reference.run_all(graph, spaced)

    def rows(self, name: str) -> Matrix:
        """A value's last axis in all windows and positions, as `(n, I)`."""
        value = self.values[name]
        return value.reshape(-1, value.shape[-1])

    def states(self, step: GRU) -> Matrix:
        """The hidden states that a GRU's recurrent weights are multiplied with, all steps of all windows: `(n, H)`."""
        inputs = self.values[step.x] @ step.weight_ih.T.astype(np.float64) + step.bias_ih
        recurrent = step.weight_hh.T.astype(np.float64)
        h = np.zeros((len(inputs), step.hidden))
        states = []
        for t in range(inputs.shape[1]):
            states.append(h)
            x_r, x_z, x_n = np.split(inputs[:, t], 3, axis=1)
            h_r, h_z, h_n = np.split(h @ recurrent + step.bias_hh, 3, axis=1)
            r, z = _sigmoid(x_r + h_r), _sigmoid(x_z + h_z)
            n = np.tanh(x_n + r * h_n)
            h = n + z * (h - n)
        return np.concatenate(states)


def _sigmoid(x: Matrix) -> Matrix:
    half: Matrix = 0.5 * (1 + np.tanh(0.5 * x))
    return half
