"""The contrastive loss that all of the paper's terms are made of."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its customary name)


def at_least_float32(values: Tensor) -> Tensor:
    """Halves as float32, in which losses are computed; doubles stay."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def info_nce(queries: Tensor, keys: Tensor, temperature: Tensor, not_negatives: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE: the mean of -log softmax of each query's own key, and of each key's own query.

    The paper's eq. 1 to 4, as they are meant: cosines divided by the temperature, and both directions.

    Args:
        queries: (n, d), normalised here, in float32 or float64.
        keys: (n, d), likewise; row i is the positive of query i.
        temperature: above 0.
        not_negatives: bool (n, n), pairs that are no negatives of each other, such as windows of the same caption; the
            diagonal is not looked at.

    Returns the loss; 0 where n is 0, still a function of all arguments, so that their gradients exist on every process.
    """
    queries, keys = F.normalize(at_least_float32(queries), dim=1), F.normalize(at_least_float32(keys), dim=1)
    logits = queries @ keys.T / temperature
    if len(logits) == 0:
        return logits.sum() + 0 * (queries.sum() + keys.sum() + temperature)
    if not_negatives is not None:
        own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(not_negatives & ~own, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def same(values: Tensor) -> Tensor:
    """Bool (n, n): where two of these (n,) are equal, those below 0 (there is none) aside."""
    return (values[:, None] == values) & (values[:, None] >= 0)
