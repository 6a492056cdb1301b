from __future__ import annotations

import numpy as np
import pytest

from primus_models import architectures
from primus_models.graph import Array


@pytest.fixture(scope="session")
def tensors() -> dict[str, Array]:
    """Weights of the size that PyTorch begins with, norms that are not the identity, and both heads."""
    generator = np.random.default_rng(1)
    primus = architectures.get("primus")
    made: dict[str, Array] = {}
    for name, shape in (primus.SHAPES | primus.TRAINING_SHAPES).items():
        scale = 0.3 if len(shape) == 1 else 1 / np.sqrt(np.prod(shape[1:]))
        made[name] = (generator.normal(0, scale, shape) + (name in ("backbone.0.weight", "backbone.4.weight"))).astype(
            np.float32
        )
    return made


@pytest.fixture(scope="session")
def imu() -> Array:
    """Windows `(6, 6, 250)`: gravity somewhere, swaying, noise."""
    generator = np.random.default_rng(2)
    t = np.arange(250) / 50
    gravity = generator.normal(size=(6, 3, 1))
    gravity *= 9.81 / np.linalg.norm(gravity, axis=1, keepdims=True)
    sway = np.sin(2 * np.pi * generator.uniform(0.3, 3, (6, 6, 1)) * t) * generator.uniform(0.05, 2, (6, 6, 1))
    sway[:, :3] += gravity
    return (sway + generator.normal(0, 0.02, (6, 6, 250))).astype(np.float32)
