"""Errors of the training side; they share the SDK's base, so one `except PrimusError` catches all."""

from __future__ import annotations

from primus_sdk.errors import PrimusError


class CheckpointError(PrimusError, ValueError):
    """A checkpoint is truncated, foreign, or its tensors do not fit the architecture it names."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """There is no checkpoint at the given path."""


class ArchitectureError(PrimusError, KeyError):
    """A checkpoint names an architecture that this version does not know."""

    def __str__(self) -> str:
        # KeyError shows its argument's repr; people read these messages.
        return str(self.args[0]) if self.args else ""


class GraphError(PrimusError, ValueError):
    """A graph's steps do not fit together: an unknown value, or shapes that do not match."""


class TrainingError(PrimusError, ValueError):
    """Training cannot start or go on: unusable data, a state of another run, or a loss that is no longer a number."""


class PreparedError(PrimusError, ValueError):
    """A prepared data set is damaged, of another version, or lacks what is asked of it."""


class PreparedNotFoundError(PreparedError, FileNotFoundError):
    """There is no prepared data set at the given path, or preparing it has not come to its end."""


class DataSetError(PrimusError, ValueError):
    """A published data set, or one recording of it, is not as its publishers describe it."""


class NoWindowError(DataSetError):
    """A recording that is whole, and gives no window however often it is read."""


class TowerError(PrimusError, RuntimeError):
    """A text or video tower cannot be loaded, or gives what cannot be used."""


class PretrainingError(PrimusError, ValueError):
    """Pretraining cannot start or go on: configuration, data or state that do not fit, or a loss that is no number."""


class EvaluationError(PrimusError, ValueError):
    """An evaluation cannot be made of these data: too few users, labels or windows."""
