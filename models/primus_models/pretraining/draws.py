"""Random numbers that follow from the seed and the step alone: a killed run goes on as if nothing had happened."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


class Draw:
    """The random numbers of one step, for those windows of the global batch that this process works on.

    Each is drawn for the whole batch, and the other processes' are thrown away: so the number of processes changes
    nothing of what happens to a window.
    """

    def __init__(self, seed: int, purpose: str, step: int, total: int, part: slice, device: torch.device) -> None:
        """For the windows `part` of a global batch of `total`."""
        self._generator = torch.Generator(device).manual_seed(seed_of(seed, purpose, step))
        self._total, self._part, self._device = total, part, device

    def uniform(self, *shape: int) -> Tensor:
        """(B, *shape), from 0 to 1."""
        return torch.rand(self._total, *shape, generator=self._generator, device=self._device)[self._part]

    def normal(self, *shape: int) -> Tensor:
        """(B, *shape), of mean 0 and variance 1."""
        return torch.randn(self._total, *shape, generator=self._generator, device=self._device)[self._part]

    def order(self, count: int) -> Tensor:
        """(B, count): a permutation of 0 to `count` - 1 for each window."""
        return self.uniform(count).argsort(dim=1)

    def choice(self, rows: Tensor) -> Tensor:
        """(B, ...): one of these rows for each window."""
        return rows.to(self._device)[(self.uniform() * len(rows)).long().clamp_max(len(rows) - 1)]


def seed_of(seed: int, purpose: str, number: int) -> int:
    """What a generator starts from in step `number`, 0 to 2^63."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def permutation(seed: int, purpose: str, number: int, count: int) -> Tensor:
    """The order of `count` things in epoch `number`."""
    return Draw(seed, purpose, number, count, slice(None), torch.device("cpu")).uniform().argsort()


def part_of(rank: int, world: int, total: int) -> slice:
    """The rows of a global batch that one of `world` processes works on."""
    share = total // world
    return slice(rank * share, (rank + 1) * share)
