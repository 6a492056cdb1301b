"""The queue of cached features that nearest neighbours are found in (paper section II-C, Fig. 3, eq. 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its customary name)

from primus_models.pretraining.losses import at_least_float32


@dataclass(frozen=True, eq=False)
class Features:
    """Of n windows: IMU (n, d) and, zeros where there is none, video and text (n, 512); who has them: bool (n,).

    window: int64 (n,), its number in the data. caption: int64 (n,), its caption's number, or -1.
    """

    imu: Tensor
    video: Tensor
    text: Tensor
    has_video: Tensor
    has_text: Tensor
    window: Tensor
    caption: Tensor

    def rows(self, index: Tensor) -> Features:
        """Those of these windows."""
        return Features(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


class FeatureQueue(nn.Module):
    """The features of the last `size` windows; first in, first out. Part of the state that a run is resumed from."""

    imu: Tensor
    video: Tensor
    text: Tensor
    has_video: Tensor
    has_text: Tensor
    window: Tensor
    caption: Tensor
    pushed: Tensor

    def __init__(self, size: int, features: int) -> None:
        super().__init__()
        self.size = size
        for name in ("imu", "video", "text"):
            self.register_buffer(name, torch.zeros(size, features))
        for name in ("has_video", "has_text"):
            self.register_buffer(name, torch.zeros(size, dtype=torch.bool))
        for name in ("window", "caption"):
            self.register_buffer(name, torch.full((size,), -1))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.int64))

    def nearest(self, features: Features) -> Tensor:
        """int64 (n,): each window's nearest entry by video, or by text where it has no video; -1 where there is none.

        An entry that is the window itself, from an epoch before, is no neighbour. One matrix product each; the paper's
        eq. 3 for the whole batch.
        """
        filled = torch.arange(self.size, device=self.imu.device) < self.pushed
        best = torch.full_like(features.window, -1)
        for query, has, kept, kept_has in (
            (features.video, features.has_video, self.video, self.has_video),
            (features.text, features.has_text, self.text, self.has_text),
        ):
            (asks,) = torch.where(has & (best < 0))
            if not len(asks):
                continue
            itself = features.window[asks, None] == self.window
            similarity = (kept @ F.normalize(query[asks], dim=1).T).T
            value, place = similarity.masked_fill_(itself | ~(kept_has & filled), -torch.inf).max(dim=1)
            best[asks] = torch.where(value > -torch.inf, place, -1)
        return best

    def entries(self, index: Tensor) -> Features:
        """The features of these entries."""
        return Features(self.imu, self.video, self.text, self.has_video, self.has_text, self.window, self.caption).rows(
            index
        )

    @torch.no_grad()
    def push(self, features: Features) -> None:
        """Put the features of n windows in place of the oldest; normalised, without gradients."""
        count = min(len(features.window), self.size)
        latest = features.rows(torch.arange(len(features.window) - count, len(features.window)))
        place = (self.pushed + torch.arange(count, device=self.imu.device)) % self.size
        for name in ("imu", "video", "text"):
            getattr(self, name)[place] = F.normalize(at_least_float32(getattr(latest, name).detach()), dim=1)
        for name in ("has_video", "has_text", "window", "caption"):
            getattr(self, name)[place] = getattr(latest, name)
        self.pushed += count
