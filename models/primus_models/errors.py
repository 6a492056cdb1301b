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
