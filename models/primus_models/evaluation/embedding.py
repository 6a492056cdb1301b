"""Embeddings of many windows, by the NumPy reference or by PyTorch, and the same network untrained beside them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Literal

import numpy as np

from primus_models import architectures, reference
from primus_models.checkpoint import Checkpoint
from primus_models.errors import EvaluationError
from primus_models.graph import EMBEDDING, Array

Backend = Literal["numpy", "torch"]
BATCH = 256
"""Windows computed together."""

Embedder = Callable[[Array], Array]
"""Windows `(n, 6, 250)` to embeddings `(n, 512)`, float32."""


def embed(checkpoint: Checkpoint, imu: Array) -> Array:
    """Embeddings `(n, 512)` of windows `(n, 6, 250)`, by the NumPy reference."""
    return by_reference(checkpoint)(imu)


def by_reference(checkpoint: Checkpoint) -> Embedder:
    """What embeds by the NumPy reference, in float64."""
    graph = checkpoint.graph()
    return lambda imu: _in_batches(lambda part: reference.run(graph, part)[EMBEDDING], imu)


def by_torch(checkpoint: Checkpoint) -> Embedder:
    """What embeds by the PyTorch encoder of the checkpoint's architecture, in float32 on the processor.

    Raises:
        EvaluationError: PyTorch is not installed, or the architecture has no PyTorch encoder.
    """
    if not has_torch(checkpoint.architecture):
        raise EvaluationError(
            f"PyTorch, or an encoder in it for the architecture {checkpoint.architecture!r}, is not there: "
            "pip install 'primus-imu[train]', or choose the backend numpy"
        )
    import torch

    from primus_models.encoders import encoder

    module = encoder(checkpoint.architecture).eval()
    state = {name: torch.from_numpy(np.array(tensor)) for name, tensor in checkpoint.tensors.items()}
    found = module.load_state_dict(state, strict=False)
    # Heads that only training needs may be missing; `Checkpoint` has checked all else.
    assert set(found.missing_keys) <= set(architectures.get(checkpoint.architecture).TRAINING_SHAPES)

    def run(part: Array) -> Array:
        with torch.inference_mode():
            result: Array = module.embed(torch.from_numpy(np.array(part, np.float32))).numpy()
        return result

    return lambda imu: _in_batches(run, imu)


def has_torch(architecture: str) -> bool:
    """Whether PyTorch is installed and knows the architecture."""
    if importlib.util.find_spec("torch") is None:
        return False
    return importlib.util.find_spec(f"primus_models.encoders.{architecture}") is not None


def random_weights(checkpoint: Checkpoint, seed: int = 0) -> Checkpoint:
    """The same network untrained: norms the identity, the rest uniform within 1 / sqrt(inputs), as in PyTorch."""
    generator = np.random.default_rng(seed)
    tensors: dict[str, Array] = {}
    for name, tensor in checkpoint.tensors.items():
        matrix = checkpoint.tensors.get(name.replace("bias", "weight"), tensor)
        if matrix.ndim == 1 and "_l0" not in name:  # a norm
            tensors[name] = np.full_like(tensor, float(name.endswith("weight")))
            continue
        fan_in = 512 if "_l0" in name else int(np.prod(matrix.shape[1:]))  # a GRU's bound goes by its hidden size
        bound = 1 / np.sqrt(fan_in)
        tensors[name] = generator.uniform(-bound, bound, tensor.shape).astype(np.float32)
    return Checkpoint(checkpoint.architecture, tensors)


def _in_batches(run: Embedder, imu: Array) -> Array:
    return np.concatenate([run(imu[i : i + BATCH]) for i in range(0, len(imu), BATCH)])
