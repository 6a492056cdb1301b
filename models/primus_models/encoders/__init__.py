"""The trainable encoders (PyTorch; the `train` extra): one file an architecture, named as its description is.

Each file defines `Encoder`, an `nn.Module` whose `state_dict` holds exactly the tensors that its architecture lists,
under the same names, and whose `embed(windows)` gives what the architecture's graph gives.
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

import numpy as np
from torch import Tensor, nn

from primus_models import architectures
from primus_models.graph import Array


class EncoderModule(Protocol):
    """What each module of this package offers."""

    Encoder: type[nn.Module]


class Encoder(nn.Module):
    """What training needs of any encoder."""

    def embed(self, windows: Tensor) -> Tensor:
        """The embedding `(B, 512)` of windows `(B, 6, 250)`."""
        raise NotImplementedError


def encoder(architecture: str) -> Encoder:
    """A fresh encoder of that architecture, with PyTorch's own initial weights.

    Raises:
        ArchitectureError: there is none of that name; the message lists those there are.
    """
    architectures.get(architecture)
    return cast(Encoder, importlib.import_module(f"{__name__}.{architecture}").Encoder())


def tensors_of(module: nn.Module) -> dict[str, Array]:
    """A module's weights as a checkpoint holds them: float32 NumPy arrays by name."""
    return {name: tensor.detach().cpu().numpy().astype(np.float32) for name, tensor in module.state_dict().items()}
