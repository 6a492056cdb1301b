"""What each matrix is multiplied with in use, read off the NumPy reference on the calibration windows."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from primus_export.rounding import Matrix
from primus_models import reference
from primus_models.graph import GRU, Array, Conv1d, Graph

WINDOWS = 256
"""As many calibration windows, evenly spaced, are looked at: 8192 states of the paper's GRU, sixteen times its size."""


class Seen:
    """A graph's values on calibration windows `(n, 6, 250)`, worked out when first asked for."""

    def __init__(self, graph: Graph, calibration: Array) -> None:
        self._graph = graph
        self._windows = calibration[:: max(1, len(calibration) // WINDOWS)][:WINDOWS]

    @cached_property
    def values(self) -> reference.Values:
        """Every value of the graph, by name, as `(windows, ...)`."""
        return reference.run_all(self._graph, self._windows)

    def rows(self, name: str) -> Matrix:
        """A value's last axis in all windows and positions, as `(n, I)`."""
        value = self.values[name]
        return value.reshape(-1, value.shape[-1])

    def patches(self, step: Conv1d) -> Matrix:
        """What a convolution's filters are multiplied with, all positions of all windows: `(n, I * K)`."""
        taps = reference.taps(step, self.values[step.x])
        return taps.transpose(0, 2, 1, 3).reshape(-1, taps.shape[1] * taps.shape[3])

    def states(self, step: GRU) -> Matrix:
        """The hidden states that a GRU's recurrent weights are multiplied with, all steps of all windows: `(n, H)`."""
        return np.concatenate(reference.gru_states(step, self.values[step.x])[:-1])
