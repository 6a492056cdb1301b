"""Our own encoder in PyTorch; `primus_models.architectures.tempo` says what it computes, and is what is exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its customary name)

from primus_models.architectures import tempo
from primus_models.encoders.base import TrainableEncoder


class Norm(nn.Module):
    """A batch norm over the second axis. `torch.nn.BatchNorm1d` counts its batches in a tensor that no graph needs."""

    mean: Tensor
    var: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("var", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """`(B, size, ...)` -> the same."""
        return F.batch_norm(x, self.mean, self.var, self.weight, self.bias, self.training, 0.1, tempo.EPS)


class Convolution(nn.Module):
    """Convolution over time, norm, GELU."""

    def __init__(self, shape: tuple[int, ...], stride: int = 1, padding: int = 0, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Parameter(torch.empty(shape))
        nn.init.kaiming_normal_(self.conv, nonlinearity="relu")
        self.norm = Norm(shape[0])
        self._how = (stride, padding, dilation)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, I, T)` -> `(B, O, T')`."""
        stride, padding, dilation = self._how
        return F.gelu(self.norm(F.conv1d(x, self.conv, None, stride, padding, dilation)))


def _convolution(name: str, stride: int = 1, padding: int = 0, dilation: int = 1) -> Convolution:
    return Convolution(tempo.SHAPES[f"{name}.conv"], stride, padding, dilation)


class Frames(nn.Module):
    """Spectra of 1.28 s frames over time."""

    bins: Tensor
    level_of: Tensor
    floor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bins", torch.from_numpy(tempo.fourier(tempo.FRAME, tempo.BINS)), persistent=False)
        self.register_buffer("level_of", torch.from_numpy(tempo.average(tempo.FRAME)), persistent=False)
        self.register_buffer("floor", torch.from_numpy(tempo.FLOOR), persistent=False)
        self.power, self.level = Norm(tempo.BINS * tempo.SIGNALS), Norm(tempo.SIGNALS)
        self.mix = _convolution("frames.mix")
        self.first, self.second = (_convolution(f"frames.{name}", padding=1) for name in ("first", "second"))

    def forward(self, centred: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, 8, 250)` and `(B, 8)` -> `(B, 96, 12)`, and the mean power over time `(B, 24, 8)`."""
        frames = centred.unfold(2, tempo.FRAME, tempo.FRAME_HOP).permute(0, 2, 1, 3)  # (B, 12, 8, 64)
        waves = frames @ self.bins.T
        power = waves[..., : tempo.BINS] ** 2 + waves[..., tempo.BINS :] ** 2  # (B, 12, 8, 24)
        batch, steps = power.shape[:2]
        logs = torch.log(power + self.floor[:, None]).transpose(2, 3).flatten(0, 1)  # (B 12, 24, 8)
        level = (frames @ self.level_of + means[:, None]).flatten(0, 1)  # (B 12, 8)
        read = torch.cat([self.power(logs.flatten(1)).view_as(logs), self.level(level)[:, None]], dim=1)
        x = self.mix(read).view(batch, steps, -1).transpose(1, 2)
        x = x + self.first(x)
        x = x + self.second(x)
        return x, power.mean(dim=1).transpose(1, 2)


class Spectrum(nn.Module):
    """A log spectrum at once: norm, and a convolution that sees all of it."""

    def __init__(self, name: str, norms: int) -> None:
        super().__init__()
        self.power, self.mix = Norm(norms), _convolution(name)

    def forward(self, logs: Tensor) -> Tensor:
        """`(B, I, K)` -> `(B, O)`."""
        # A norm for each row, or for each number of it.
        normed = self.power(logs) if len(self.power.weight) == logs.shape[1] else self.power(logs.flatten(1))
        spread: Tensor = self.mix(normed.view_as(logs))
        return spread[:, :, 0]


class Wave(nn.Module):
    """Strided convolutions over the compressed signals."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution("wave.stem", stride=2, padding=4)
        self.down = _convolution("wave.down", stride=2, padding=3)
        self.lower = _convolution("wave.lower", stride=2, padding=2)
        self.first = _convolution("wave.first", padding=1)
        self.second = _convolution("wave.second", padding=2, dilation=2)

    def forward(self, centred: Tensor) -> Tensor:
        """`(B, 8, 250)` -> `(B, 64, 32)`."""
        loud = centred * tempo.LOUDNESS
        x = torch.sqrt(F.relu(loud) + 1) - torch.sqrt(F.relu(-loud) + 1)
        x = self.lower(self.down(self.stem(x)))
        x = x + self.first(x)
        y: Tensor = x + self.second(x)
        return y


class Encoder(TrainableEncoder):
    """Windows `(B, 6, 250)`, m/s^2 with gravity and rad/s, to two heads over one feature vector, `(B, 512)` each."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.from_numpy(tempo.SCALE)[:, None], persistent=False)
        self.register_buffer("floor", torch.from_numpy(tempo.FLOOR), persistent=False)
        self.register_buffer("waves", torch.from_numpy(tempo.fourier(250, tempo.FINE_BINS)), persistent=False)
        self.frames, self.wave = Frames(), Wave()
        self.fine = Spectrum("fine.mix", tempo.SIGNALS)
        self.coarse = Spectrum("coarse.mix", tempo.BINS * tempo.SIGNALS)
        self.statistics = Norm(tempo.STATISTICS)
        self.dropout = nn.Dropout(0.3)
        self.hidden = nn.Linear(tempo.STATISTICS, tempo.HIDDEN)
        self.linear = nn.Linear(tempo.STATISTICS, tempo.LINEAR)
        self.ssl_head = nn.Linear(tempo.HIDDEN + tempo.LINEAR, 512)
        self.mmcl_head = nn.Linear(tempo.HIDDEN + tempo.LINEAR, 512)

    scale: Tensor
    floor: Tensor
    waves: Tensor

    def features(self, windows: Tensor) -> Tensor:
        """What both heads read, `(B, 384)`: 256 of the hidden layer, 128 linear in the statistics."""
        mean = windows.mean(dim=2, keepdim=True)
        axes, axes_means = (windows - mean) * self.scale, mean * self.scale
        longer = (axes_means * axes + 0.5 * axes**2)[:, :3].sum(dim=1, keepdim=True)
        turning = torch.sqrt((windows[:, 3:] ** 2).sum(dim=1, keepdim=True) + 1e-8)
        sizes = torch.cat([longer, turning], dim=1)
        sizes_means = sizes.mean(dim=2, keepdim=True)
        means = torch.cat([axes_means, sizes_means], dim=1)[:, :, 0]
        centred = torch.cat([axes, sizes - sizes_means], dim=1)
        frames, power = self.frames(centred, means)
        fine = centred @ self.waves.T
        fine = fine[..., : tempo.FINE_BINS] ** 2 + fine[..., tempo.FINE_BINS :] ** 2
        parts = [
            *_statistics(frames),
            self.coarse(torch.log(power + self.floor)),
            self.fine(torch.log(fine + self.floor[:, None] * 0.1)),
            means,
            torch.log((centred**2).mean(dim=2) + self.floor),
            *_statistics(self.wave(centred)),
        ]
        vector = self.statistics(torch.cat(parts, dim=1)).clamp(-tempo.CLAMP, tempo.CLAMP)
        seen = self.dropout(vector)
        return torch.cat([F.gelu(self.hidden(seen)), self.linear(seen)], dim=1)


def _statistics(x: Tensor) -> list[Tensor]:
    """Mean, standard deviation and maximum over time, `(B, C)` each."""
    mean = x.mean(dim=2)
    variance = (x**2).mean(dim=2) - mean**2
    return [mean, torch.sqrt(variance.clamp_min(1e-5)), x.amax(dim=2)]
