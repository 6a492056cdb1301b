"""The baselines of the paper's Fig. 4 that are no subset of its losses: MultitaskSSL and standard training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its customary name)

from primus_models.graph import EMBEDDING_SIZE
from primus_models.pretraining.augmentations import AUGMENTATIONS
from primus_models.pretraining.draws import Draw
from primus_models.pretraining.losses import at_least_float32
from primus_models.pretraining.objective import Batch, Gather, Objective


class Multitask(Objective):
    """MultitaskSSL (Saeed et al. 2019; paper [8]): for each transformation a binary head tells whether it was applied.

    Each step sees every window as it is, and once under each transformation; a head's examples are the windows as they
    are and those that were transformed for it. `loss` is the mean over the heads of the binary cross-entropy.
    """

    def __init__(self, architecture: str, augmentations: tuple[str, ...]) -> None:
        super().__init__(architecture)
        self.augmentations = augmentations
        self.heads = nn.ModuleList(nn.Linear(EMBEDDING_SIZE, 1) for _ in augmentations)
        self.encoder.ssl_head.requires_grad_(False)

    def forward(self, batch: Batch, draw: Draw, gather: Gather, learn: bool) -> dict[str, Tensor]:
        """See `Objective`."""
        views = [batch.imu, *(AUGMENTATIONS[name](batch.imu, draw) for name in self.augmentations)]
        embedded = at_least_float32(self.encoder.embed(torch.cat(views))).reshape(len(views), len(batch.imu), -1)
        logits = [head(torch.cat([embedded[0], embedded[place]])) for place, head in enumerate(self.heads, 1)]
        # (2 B, heads): untouched windows first. A mean over windows: gathering them gives what one process would.
        own = torch.cat(logits, dim=1).reshape(2, len(batch.imu), -1).transpose(0, 1).contiguous()
        every = gather(own)
        target = torch.zeros_like(every)
        target[:, 1] = 1
        losses = F.binary_cross_entropy_with_logits(every, target, reduction="none").mean(dim=(0, 1))
        named = {f"tells_{name}": loss for name, loss in zip(self.augmentations, losses, strict=True)}
        return named | {"loss": losses.mean()}


class Standard(Objective):
    """Standard training (paper III-B): all parameters, from scratch, by cross-entropy of a linear classifier."""

    def __init__(self, architecture: str, labels: int) -> None:
        super().__init__(architecture)
        self.classifier = nn.Linear(EMBEDDING_SIZE, labels)
        self.encoder.ssl_head.requires_grad_(False)

    def forward(self, batch: Batch, draw: Draw, gather: Gather, learn: bool) -> dict[str, Tensor]:
        """See `Objective`; windows without a label are left out."""
        logits = gather(at_least_float32(self.classifier(self.encoder.embed(batch.imu))))
        label = gather(batch.label)
        labelled = label >= 0
        if not labelled.any():
            return {"loss": 0 * logits.sum()}
        hits = (logits[labelled].argmax(dim=1) == label[labelled]).float().mean()
        return {"loss": F.cross_entropy(logits[labelled], label[labelled]), "accuracy": hits.detach()}
