"""The trainable encoders (PyTorch; the `train` extra): one file an architecture, named as its description is.

Each file defines `Encoder`, a `TrainableEncoder`.
"""

from __future__ import annotations

import importlib
from typing import cast

import numpy as np
from torch import nn

from primus_models import architectures
from primus_models.encoders.base import TrainableEncoder
from primus_models.graph import Array


def encoder(architecture: str) -> TrainableEncoder:
    """A fresh encoder of that architecture, not trained yet.

    Raises:
        ArchitectureError: there is none of that name; the message lists those there are.
    """
    architectures.get(architecture)
    return cast(TrainableEncoder, importlib.import_module(f"{__name__}.{architecture}").Encoder())


def tensors_of(module: nn.Module) -> dict[str, Array]:
    """A module's weights as a checkpoint holds them: float32 NumPy arrays by name."""
    return {name: tensor.detach().cpu().numpy().astype(np.float32) for name, tensor in module.state_dict().items()}
