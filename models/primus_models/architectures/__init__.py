"""One file an architecture, found by its name.

Each defines

- `SHAPES`: the tensors of a checkpoint that the exported encoder needs, name to shape;
- `TRAINING_SHAPES`: those that only pretraining uses, which a checkpoint may leave out;
- `build(tensors) -> Graph`: the encoder's steps.

A new architecture is a new file here (and its PyTorch module in `primus_models/encoders/`, if it is to be trained): no
exporter changes.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, cast

from primus_models.errors import ArchitectureError
from primus_models.graph import Array, Graph, Shape


class Architecture(Protocol):
    """What each module of this package offers."""

    SHAPES: dict[str, Shape]
    TRAINING_SHAPES: dict[str, Shape]

    def build(self, tensors: dict[str, Array]) -> Graph:
        """The encoder's steps for a checkpoint's tensors."""


def names() -> list[str]:
    """The architectures that this version knows."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        ArchitectureError: there is none; the message lists those there are.
    """
    if name not in names():
        raise ArchitectureError(f"unknown architecture {name!r}; this version knows: {', '.join(names())}")
    return cast(Architecture, importlib.import_module(f"{__name__}.{name}"))
