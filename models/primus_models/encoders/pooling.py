"""Pooling whose gradients PyTorch can sum in one order on a GPU too, where determinism is asked for.

PyTorch's own add them up by atomic operations there, and refuse where that is not wanted. Everywhere else these are its
own, to the bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from primus_models.graph import adaptive_pool_matrix


class MaxPool(nn.MaxPool1d):
    """The greatest of every `kernel_size` positions, side by side: `(..., T)` -> `(..., T // kernel_size)`."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__(kernel_size)
        self.width = kernel_size

    def forward(self, x: Tensor) -> Tensor:
        """As MaxPool1d; of equal ones each gets a share of the gradient where determinism is asked for on a GPU."""
        if _asked_for(x):
            return self.in_order(x)
        pooled: Tensor = super().forward(x)
        return pooled

    def in_order(self, x: Tensor) -> Tensor:
        """The same by a reduction."""
        count = x.shape[-1] // self.width
        return x[..., : count * self.width].reshape(*x.shape[:-1], count, self.width).amax(-1)


class AveragePool(nn.AdaptiveAvgPool1d):
    """Means over `output_size` stretches that share the positions out as evenly as can be: `(..., output_size)`."""

    def __init__(self, output_size: int) -> None:
        super().__init__(output_size)
        self.count = output_size

    def forward(self, x: Tensor) -> Tensor:
        """As AdaptiveAvgPool1d."""
        if _asked_for(x):
            return self.in_order(x)
        pooled: Tensor = super().forward(x)
        return pooled

    def in_order(self, x: Tensor) -> Tensor:
        """The same by a matrix product."""
        means: Tensor = x @ torch.from_numpy(adaptive_pool_matrix(x.shape[-1], self.count)).to(x)
        return means


def _asked_for(x: Tensor) -> bool:
    return x.is_cuda and torch.are_deterministic_algorithms_enabled()
