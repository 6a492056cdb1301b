"""The paper's encoder in PyTorch (arXiv 2411.15127, Fig. 2 and section II): 1,376,204 parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from primus_models.encoders.base import TrainableEncoder
from primus_models.encoders.pooling import AveragePool, MaxPool
from primus_models.encoders.recurrence import LastStateGRU


class Block(nn.Module):
    """A convolution over time without bias, then pooling; no non-linearity follows."""

    def __init__(self, channels_in: int, kernel: int, pool: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(channels_in, 32, kernel, dilation=2, bias=False), pool)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, channels_in, T)` -> `(B, 32, T')`."""
        y: Tensor = self.net(x)
        return y


class Encoder(TrainableEncoder):
    """Windows `(B, 6, 250)` to two heads over one feature vector, `(B, 512)` each.

    Acceleration in m/s^2 with gravity, then angular velocity in rad/s, x y z each; 50 Hz, 5 s.

    | backbone | layer | output |
    |---|---|---|
    | 0 | GroupNorm: accelerometer and gyroscope apart | (B, 6, 250) |
    | 1 | Conv1d(6, 32, 10, dilation 2), MaxPool1d(3) | (B, 32, 77) |
    | 2 | Conv1d(32, 32, 5, dilation 2), MaxPool1d(3) | (B, 32, 23) |
    | 3 | Conv1d(32, 32, 5, dilation 2), AdaptiveAvgPool1d(32): 15 positions become 32 | (B, 32, 32) |
    | 4 | GroupNorm(4 groups) | (B, 32, 32) |
    | 5 | GRU(32, 512): its steps are the 32 channels, not the positions; last hidden state | (B, 512) |

    The GRU's odd reading order is the published one, and published weights only fit that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.GroupNorm(2, 6),
            Block(6, 10, MaxPool(3)),
            Block(32, 5, MaxPool(3)),
            Block(32, 5, AveragePool(32)),
            nn.GroupNorm(4, 32),
            LastStateGRU(32, 512, batch_first=True),
        )
        self.ssl_head = nn.Linear(512, 512)
        self.mmcl_head = nn.Linear(512, 512)
        with torch.no_grad():
            self._initialise(self.state_dict())

    def _initialise(self, weights: dict[str, Tensor]) -> None:
        """Begin where training is quick: PyTorch's own initial weights learn this network slowly.

        Gravity is a hundred times larger than the motion of a person who sits. So most first filters begin without a
        response to a constant, and half of the channels stay free of gravity throughout. The GRU begins with units that
        remember: as PyTorch sets it up, each of its 32 steps halves what the earlier ones left.
        """
        filters = weights["backbone.1.net.0.weight"][8:]
        filters.sub_(filters.mean(dim=2, keepdim=True)).mul_(4)
        for block in (2, 3):
            weights[f"backbone.{block}.net.0.weight"][16:, :16] = 0
        nn.init.uniform_(weights["backbone.5.weight_ih_l0"], -(32**-0.5), 32**-0.5)
        for gate in torch.split(weights["backbone.5.weight_hh_l0"], 512):
            nn.init.orthogonal_(gate)
        weights["backbone.5.bias_hh_l0"].zero_()
        # The update gate's bias is spread so that units keep a value for 1 to 31 steps (arXiv 1804.11188).
        reset, update, new = torch.split(weights["backbone.5.bias_ih_l0"], 512)
        reset.zero_()
        new.zero_()
        update.uniform_(1, 31).log_()

    def features(self, windows: Tensor) -> Tensor:
        """The GRU's last hidden state `(B, 512)`, which both heads read."""
        _, hidden = self.backbone(windows)
        last: Tensor = hidden[0]
        return last

    def forward(self, windows: Tensor) -> dict[str, Tensor]:
        """Both heads' outputs, `ssl` (self-supervised) and `mmcl` (multimodal), `(B, 512)` each."""
        features = self.features(windows)
        return {"ssl": self.ssl_head(features), "mmcl": self.mmcl_head(features)}
