"""The paper's objective (section II, eq. 1 to 5): self-supervision, multimodal and nearest-neighbour supervision.

Every loss is of the global batch: embeddings are gathered from all processes, so that each window's negatives are all
other windows of the step, whatever the number of processes. The gradient is that of one process with all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor, nn

from primus_models.encoders import encoder
from primus_models.graph import EMBEDDING_SIZE
from primus_models.pretraining.augmentations import augmented
from primus_models.pretraining.draws import Draw
from primus_models.pretraining.losses import at_least_float32, info_nce, same
from primus_models.pretraining.queue import FeatureQueue, Features

Gather: TypeAlias = Callable[[Tensor], Tensor]
"""(B, ...) of this process to (world * B, ...) of all, in the order of ranks; gradients flow back."""

TERMS: Final = ("ss", "mm", "nn")
_LEAST_TEMPERATURE = 0.01


@dataclass(eq=False)  # not frozen: Lightning brings its tensors to the precision that was asked for
class Batch:
    """Windows of one process.

    imu: float32 (B, 6, 250). window: int64 (B,), their numbers in the data. caption: int64 (B,), or -1.
    text, video: float32 (B, 512), zeros where there is none. has_text, has_video: bool (B,). label: int64 (B,), or -1.
    """

    imu: Tensor
    window: Tensor
    caption: Tensor
    text: Tensor
    video: Tensor
    has_text: Tensor
    has_video: Tensor
    label: Tensor


class Temperature(nn.Module):
    """A learnable temperature, kept as its logarithm; never below 0.01, where InfoNCE turns into an argmax."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(start).log())

    def forward(self) -> Tensor:
        """The temperature."""
        return self.log.exp().clamp_min(_LEAST_TEMPERATURE)


class Objective(nn.Module):
    """An encoder and what only pretraining needs of it."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.encoder = encoder(architecture)

    def forward(self, batch: Batch, draw: Draw, gather: Gather, learn: bool) -> dict[str, Tensor]:
        """The losses of a global batch by name, `loss` being what is minimised; `learn` is false in validation."""
        raise TypeError(f"{type(self).__name__} has no loss")

    def finish(self) -> None:
        """What remains to be done to the encoder once training has ended."""


class Primus(Objective):
    """`loss` = alpha `ss` + beta `mm` + gamma `nn` (paper eq. 5); a term of weight 0 is left out, and not computed.

    - `ss`: a window against its augmentation, through the self-supervised head (eq. 1).
    - `mm`: the multimodal head against video and against text (eq. 2), over the windows that have them. Windows of one
      caption are not each other's negatives.
    - `nn`: against the features of the nearest entry of the queue: IMU through the self-supervised head, as `ss`; video
      and text through the multimodal one (eq. 4). Windows with one neighbour, or whose neighbours have one caption, are
      not each other's negatives.

    One temperature each for ss, video, text, and nn. Each term is a mean over windows; sums over modalities.
    """

    def __init__(
        self,
        architecture: str,
        weights: dict[str, float],
        augmentations: tuple[str, ...],
        temperature: float,
        queue_size: int,
    ) -> None:
        super().__init__(architecture)
        self.weights = {name: weights[name] for name in TERMS if weights.get(name)}
        self.augmentations = augmentations
        self.temperatures = nn.ModuleDict({name: Temperature(temperature) for name in ("ss", "video", "text", "nn")})
        self.queue = FeatureQueue(queue_size if "nn" in self.weights else 1, EMBEDDING_SIZE)
        if not {"ss", "nn"} & set(self.weights):
            self.encoder.ssl_head.requires_grad_(False)
        if not {"mm", "nn"} & set(self.weights):
            self.encoder.mmcl_head.requires_grad_(False)

    def forward(self, batch: Batch, draw: Draw, gather: Gather, learn: bool) -> dict[str, Tensor]:
        """See `Objective`."""
        temperature = {name: module() for name, module in self.temperatures.items()}
        imu = batch.imu
        if "ss" in self.weights:  # both views at once: the GRU's time goes into reading its weights
            imu = torch.cat([imu, augmented(imu, self.augmentations, draw)])
        features = self.encoder.features(imu)
        own = features[: len(batch.imu)]
        heads = [self.encoder.mmcl_head(own), self.encoder.ssl_head(own)]
        if "ss" in self.weights:
            heads.append(self.encoder.ssl_head(features[len(own) :]))
        multimodal, alone, *augmented_alone = gather(at_least_float32(torch.stack(heads, dim=1))).unbind(dim=1)
        found = self._targets(batch, alone, gather)
        losses: dict[str, Tensor] = {}
        if "ss" in self.weights:
            losses["ss"] = info_nce(alone, augmented_alone[0], temperature["ss"])
        if "mm" in self.weights:
            losses["mm_video"] = _where(found.has_video, multimodal, found.video, temperature["video"], found.caption)
            losses["mm_text"] = _where(found.has_text, multimodal, found.text, temperature["text"], found.caption)
            losses["mm"] = losses["mm_video"] + losses["mm_text"]
        if "nn" in self.weights:
            losses |= self._nearest(multimodal, alone, found, temperature["nn"])
            if learn:
                self.queue.push(found)
        # All temperatures take part, so that a process whose windows lack a modality waits for no gradient.
        total = 0 * torch.stack(list(temperature.values())).sum()
        losses["loss"] = total + sum((weight * losses[name] for name, weight in self.weights.items()), total)
        return losses

    def _targets(self, batch: Batch, alone: Tensor, gather: Gather) -> Features:
        """The features of the global batch that losses are computed against: no gradients."""
        with torch.no_grad():
            vectors = gather(torch.stack([batch.video, batch.text], dim=1))
            numbers = torch.stack([batch.has_video.long(), batch.has_text.long(), batch.window, batch.caption], dim=1)
            video, text = vectors.unbind(dim=1)
            has_video, has_text, window, caption = gather(numbers).unbind(dim=1)
            return Features(alone.detach(), video, text, has_video.bool(), has_text.bool(), window, caption)

    def _nearest(self, multimodal: Tensor, alone: Tensor, found: Features, temperature: Tensor) -> dict[str, Tensor]:
        index = self.queue.nearest(found)
        known = index >= 0
        near = self.queue.entries(index.clamp_min(0))
        losses = {}
        for name, queries, keys, has in (
            ("nn_imu", alone, near.imu, known),
            ("nn_video", multimodal, near.video, known & near.has_video),
            ("nn_text", multimodal, near.text, known & near.has_text),
        ):
            losses[name] = _where(has, queries, keys, temperature, near.caption, index)
        return losses | {"nn": losses["nn_imu"] + losses["nn_video"] + losses["nn_text"]}

    def finish(self) -> None:
        """Where no loss trained the multimodal head, it becomes the identity: the embedding is then the features."""
        head = self.encoder.mmcl_head
        if isinstance(head, nn.Linear) and not head.weight.requires_grad and head.in_features == head.out_features:
            with torch.no_grad():
                nn.init.eye_(head.weight)
                head.bias.zero_()


def _where(has: Tensor, queries: Tensor, keys: Tensor, temperature: Tensor, *alike: Tensor) -> Tensor:
    """InfoNCE over the windows that have this modality; those that are alike in any of these are no negatives."""
    not_negatives = torch.stack([same(values[has]) for values in alike]).any(dim=0)
    return info_nce(queries[has], keys[has], temperature, not_negatives)
