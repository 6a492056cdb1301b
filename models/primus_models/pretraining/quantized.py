"""Quantization-aware training: the recurrent weights are numbers of 4 bits in every pass, from some step on.

They are most of the file and what int4 is for (`primus_export`). A network that never met its rounded weights can lose
more by them than the bound on int4 allows; one that was trained with them loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

TOP = 7
"""The largest code of 4 bits, symmetric: as in `primus_export.rounding`."""


def recurrent_weights(encoder: nn.Module) -> list[nn.Parameter]:
    """The matrices that int4 rounds: `(3H, H)` of each GRU."""
    named = encoder.named_parameters()
    return [weight for name, weight in named if name.endswith(".weight_hh_l0")]


def rounded(weight: Tensor) -> Tensor:
    """The matrix `(O, I)` with each row as whole numbers, -7 to 7, times a scale of its own."""
    scales = weight.detach().abs().amax(dim=1, keepdim=True) / TOP
    scales = torch.where(scales > 0, scales, torch.ones_like(scales))
    return (weight.detach() / scales).round() * scales


@contextmanager
def rounded_while(weights: list[nn.Parameter]) -> Iterator[None]:
    """Have the parameters rounded inside the block, and as they were after it.

    Gradients taken inside are of the rounded weights and go to the others: the straight-through estimator (arXiv
    1308.3432).
    """
    kept = [weight.detach().clone() for weight in weights]
    round_in_place(weights)
    try:
        yield
    finally:
        for weight, before in zip(weights, kept, strict=True):
            weight.data.copy_(before)


def round_in_place(weights: list[nn.Parameter]) -> None:
    """Have the parameters rounded for good."""
    for weight in weights:
        weight.data.copy_(rounded(weight))
