"""What pools on a GPU where determinism is asked for: PyTorch's own values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from primus_models.encoders.pooling import AveragePool, MaxPool


def both(own: nn.Module, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Values and gradients, of PyTorch's way and of the other."""
    found = []
    for pool in (own, own.in_order):
        given = x.clone().requires_grad_()
        pooled = pool(given)
        (pooled * torch.arange(pooled.numel()).reshape(pooled.shape)).sum().backward()
        assert given.grad is not None
        found.append((pooled.detach(), given.grad))
    return found


@pytest.mark.parametrize("length", [6, 231, 71])
def test_the_greatest_of_three(length: int) -> None:
    pool = MaxPool(3)
    x = torch.randn(4, 5, length, generator=torch.Generator().manual_seed(length))
    (values, gradients), (ours, our_gradients) = both(pool, x)
    assert torch.equal(values, nn.MaxPool1d(3)(x))
    assert torch.equal(values, ours)
    assert torch.equal(gradients, our_gradients)


@pytest.mark.parametrize(("length", "size"), [(15, 32), (32, 32), (40, 32)])
def test_means_of_stretches(length: int, size: int) -> None:
    pool = AveragePool(size)
    x = torch.randn(4, 5, length, generator=torch.Generator().manual_seed(length))
    (values, gradients), (ours, our_gradients) = both(pool, x)
    assert torch.equal(values, nn.AdaptiveAvgPool1d(size)(x))
    torch.testing.assert_close(values, ours)
    torch.testing.assert_close(gradients, our_gradients)
