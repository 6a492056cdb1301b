"""Our own encoder: spectra and strided convolutions in true time, where the paper's GRU steps over channels.

Eight signals are read: three accelerations in g, three rates in rad/s, by how much the acceleration is longer than its
mean over the window (about, in g), and the size of the rate. Three readings of them become one vector for two linear
layers:

1. a log-power spectrum of 1.28 s frames, 24 bins to 18.75 Hz, mixed and looked at over the 12 frames by convolutions;
2. the whole window's log-power spectrum, fine below 5 Hz, and its means and variances;
3. the signals less their mean, compressed so that a breath and a step are both seen, through strided convolutions.

Of 1 and 3, mean, standard deviation and maximum over time are kept. Two thirds of what the embedding is made of is a
hidden layer of all that; a third is linear in it, for what the labels of training did not ask for
(`primus_models.widening`). Norms are batch norms in training; here they are folded into what follows or precedes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from primus_models.graph import (
    CHANNELS,
    EMBEDDING,
    EMBEDDING_SIZE,
    INPUT,
    WINDOW,
    Array,
    Binary,
    Concat,
    Conv1d,
    Frames,
    Graph,
    Linear,
    Reduce,
    Reshape,
    Shape,
    Slice,
    Step,
    Transpose,
    Unary,
)

SIGNALS = CHANNELS + 2
FRAME, FRAME_HOP, BINS = 64, 16, 24
FRAMES = (WINDOW - FRAME) // FRAME_HOP + 1
FINE_BINS = 25
FRAME_WIDTH, FINE_WIDTH, COARSE_WIDTH, WAVE_WIDTHS = 96, 64, 48, (32, 48, 64)
HIDDEN, LINEAR = 256, 128
STATISTICS = 3 * FRAME_WIDTH + FINE_WIDTH + COARSE_WIDTH + 2 * SIGNALS + 3 * WAVE_WIDTHS[2]

READ = "statistics.clamped"
"""The statistics, normed, as both kinds of features read them."""

GRAVITY = 9.80665
SCALE = np.array([1 / GRAVITY] * 3 + [1.0] * 3, np.float32)
FLOOR = np.array([3e-6] * 3 + [3e-5] * 3 + [3e-6, 3e-5], np.float32)
"""Power (g^2 and (rad/s)^2) that is as good as none: about a sensor's noise."""
LOUDNESS = 50.0
CLAMP = 4.0
EPS = 1e-5


def _numbers(*values: float) -> Array:
    return np.array(values, np.float32)


_NORM = ("weight", "bias", "mean", "var")


def _normed(name: str, weight: Shape) -> dict[str, Shape]:
    """A convolution's weight and its norm's four vectors."""
    return {f"{name}.conv": weight} | {f"{name}.norm.{part}": (weight[0],) for part in _NORM}


def _norm(name: str, size: int) -> dict[str, Shape]:
    return {f"{name}.{part}": (size,) for part in _NORM}


_A, _B, _C = WAVE_WIDTHS
SHAPES: dict[str, Shape] = {
    **_norm("frames.power", BINS * SIGNALS),
    **_norm("frames.level", SIGNALS),
    **_normed("frames.mix", (FRAME_WIDTH, BINS + 1, SIGNALS)),
    **_normed("frames.first", (FRAME_WIDTH, FRAME_WIDTH, 3)),
    **_normed("frames.second", (FRAME_WIDTH, FRAME_WIDTH, 3)),
    **_norm("fine.power", SIGNALS),
    **_normed("fine.mix", (FINE_WIDTH, SIGNALS, FINE_BINS)),
    **_norm("coarse.power", BINS * SIGNALS),
    **_normed("coarse.mix", (COARSE_WIDTH, BINS, SIGNALS)),
    **_normed("wave.stem", (_A, SIGNALS, 9)),
    **_normed("wave.down", (_B, _A, 7)),
    **_normed("wave.lower", (_C, _B, 5)),
    **_normed("wave.first", (_C, _C, 3)),
    **_normed("wave.second", (_C, _C, 3)),
    **_norm("statistics", STATISTICS),
    "hidden.weight": (HIDDEN, STATISTICS),
    "hidden.bias": (HIDDEN,),
    "linear.weight": (LINEAR, STATISTICS),
    "linear.bias": (LINEAR,),
    "mmcl_head.weight": (EMBEDDING_SIZE, HIDDEN + LINEAR),
    "mmcl_head.bias": (EMBEDDING_SIZE,),
}
TRAINING_SHAPES: dict[str, Shape] = {
    "ssl_head.weight": (EMBEDDING_SIZE, HIDDEN + LINEAR),
    "ssl_head.bias": (EMBEDDING_SIZE,),
}


def fourier(length: int, bins: int) -> Array:
    """Rows that give the cosine and then the sine parts of bins 1 to `bins`, Hann-windowed: (2 bins, length).

    Each row is blind to a constant, so that gravity does not leak into bin 1. A sine of amplitude 1 has power 1.
    """
    time = np.arange(length)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / length)
    angle = 2 * np.pi * np.arange(1, bins + 1)[:, None] * time / length
    rows = np.concatenate([np.cos(angle), np.sin(angle)]) * hann
    rows -= rows.sum(axis=1, keepdims=True) / hann.sum() * hann
    return np.asarray(rows * (2 / hann.sum()), np.float32)


def average(length: int) -> Array:
    """A Hann-weighted mean, (length,)."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return np.asarray(hann / hann.sum(), np.float32)


def build(tensors: dict[str, Array]) -> Graph:
    """`(6, 250)` -> eight signals -> frames' spectra, the whole spectrum, the waves -> statistics -> `(512,)`."""
    builder = _Builder(tensors)
    builder.signals()
    builder.waves()
    parts = (*builder.frames(), *builder.whole(), *builder.wave())
    builder.add(Concat(parts, "statistics"))
    norm = builder.norm("statistics")
    builder.add(
        Binary("sub", "statistics", norm.centre, "statistics.centred"),
        Binary("mul", "statistics.centred", norm.factor, "statistics.scaled"),
        Binary("add", "statistics.scaled", norm.summand, "statistics.normed"),
        Binary("minimum", "statistics.normed", _numbers(CLAMP), "statistics.below"),
        Binary("maximum", "statistics.below", _numbers(-CLAMP), READ),
        Linear(READ, "hidden.sums", tensors["hidden.weight"], tensors["hidden.bias"]),
        Unary("gelu", "hidden.sums", "hidden"),
        Linear(READ, "linear", tensors["linear.weight"], tensors["linear.bias"]),
        Concat(("hidden", "linear"), "features"),
        Linear("features", EMBEDDING, tensors["mmcl_head.weight"], tensors["mmcl_head.bias"]),
    )
    return Graph(tuple(builder.steps))


def _by_signal(bins: Array) -> Array:
    """`(O, bins, signals)` in the order that the graph has a frame's numbers in: one signal after the other."""
    return bins.swapaxes(1, 2).reshape(len(bins), -1)


@dataclass(frozen=True, eq=False)
class _Norm:
    """(x - centre) * factor + summand, in this order: a log spectrum is many times what it differs by.

    Folded into the layer behind it, all of that would be multiplied and then taken away; float32 has not the digits.
    """

    centre: Array
    factor: Array
    summand: Array

    def parts(self) -> tuple[Array, Array, Array]:
        return self.centre, self.factor, self.summand

    def by_signal(self) -> _Norm:
        return _Norm(*(_by_signal(part.reshape(1, BINS, SIGNALS))[0] for part in self.parts()))


class _Builder:
    """The steps so far; names of values are those of the tensors that they come of."""

    def __init__(self, tensors: dict[str, Array]) -> None:
        self.steps: list[Step] = []
        self._tensors = tensors

    def add(self, *steps: Step) -> None:
        self.steps += steps

    def norm(self, name: str) -> _Norm:
        """A norm as it is applied."""
        t = self._tensors
        factor = t[f"{name}.weight"] / np.sqrt(t[f"{name}.var"] + np.float32(EPS))
        return _Norm(t[f"{name}.mean"], factor, t[f"{name}.bias"])

    def affine(self, name: str) -> tuple[Array, Array]:
        """A norm as the factor and the summand that a layer before it takes in."""
        norm = self.norm(name)
        return norm.factor, norm.summand - norm.factor * norm.centre

    def signals(self) -> None:
        """`means` (8, 1) of the eight signals, and `centred` (8, 250), the signals less their means.

        The mean goes before anything is multiplied: the difference of two float32 numbers so near is exact, and gravity
        would take four of the seven digits of a resting sensor's product. For the same reason how much longer the
        acceleration is than its mean is told by what is left of it, not by a length less a length.
        """
        self.add(
            # Twice: a runtime that adds up one after the other is off by half a millionth of gravity the first time.
            Reduce("mean", INPUT, "axes.about", keep=True),
            Binary("sub", INPUT, "axes.about", "axes.near"),
            Reduce("mean", "axes.near", "axes.rest", keep=True),
            Binary("sub", "axes.near", "axes.rest", "axes.centred"),
            Binary("add", "axes.about", "axes.rest", "axes.mean"),
            Binary("mul", "axes.mean", SCALE[:, None], "axes.means"),
            Binary("mul", "axes.centred", SCALE[:, None], "axes.scaled"),
            Slice("axes.scaled", "pull", 0, 3),
            Slice("axes.means", "pull.mean", 0, 3),
            Binary("mul", "pull", _numbers(0.5), "pull.half"),
            Binary("add", "pull.half", "pull.mean", "pull.about"),
            Binary("mul", "pull.about", "pull", "pull.longer"),
            Reduce("sum", "pull.longer", "longer", axis=0, keep=True),
            Slice(INPUT, "turn", 3, CHANNELS),
            Unary("square", "turn", "turn.squared"),
            Reduce("sum", "turn.squared", "turning.squared", axis=0, keep=True),
            Binary("add", "turning.squared", _numbers(1e-8), "turning.floored"),
            Unary("sqrt", "turning.floored", "turning"),
            Concat(("longer", "turning"), "sizes"),
            Reduce("mean", "sizes", "sizes.means", keep=True),
            Binary("sub", "sizes", "sizes.means", "sizes.centred"),
            Concat(("axes.means", "sizes.means"), "means"),
            Concat(("axes.scaled", "sizes.centred"), "centred"),
        )

    def waves(self) -> None:
        """Products of all of `centred`: the waves of the whole spectrum, and each frame's mean (8, 12)."""
        frames = np.zeros((FRAMES, WINDOW), np.float32)
        for number, row in enumerate(frames):
            row[number * FRAME_HOP : number * FRAME_HOP + FRAME] = average(FRAME)
        self.add(
            Linear("centred", "waves", np.concatenate([fourier(WINDOW, FINE_BINS), frames])),
            Slice("waves", "fine.waves", 0, 2 * FINE_BINS, axis=1),
            Slice("waves", "frames.shift", 2 * FINE_BINS, 2 * FINE_BINS + FRAMES, axis=1),
        )

    def frames(self) -> tuple[str, ...]:
        """Statistics of the frames' spectra, and the mean spectrum."""
        # Of the centred signals: with gravity in them float32 would round a resting sensor's power off by a thousandth.
        self.add(
            Frames("centred", "frames", FRAME, FRAME_HOP),
            Linear("frames", "frames.waves", fourier(FRAME, BINS)),
        )
        self._power("frames.waves", BINS, "frames.bins")
        floor = FLOOR.repeat(BINS)
        self.add(
            Reshape("frames.bins", "frames.power", (FRAMES, SIGNALS * BINS)),
            Binary("add", "frames.power", floor, "frames.floored"),
            Unary("log", "frames.floored", "frames.log"),
            Binary("add", "frames.shift", "means", "frames.levels"),
            Transpose("frames.levels", "frames.level"),
            Concat(("frames.log", "frames.level"), "frames.read", axis=1),
        )
        power, level = self.norm("frames.power").by_signal(), self.norm("frames.level")
        before = _Norm(*(np.concatenate(both) for both in zip(power.parts(), level.parts(), strict=True)))
        weight = self._tensors["frames.mix.conv"]
        weight = np.concatenate([_by_signal(weight[:, :BINS]), weight[:, BINS]], axis=1)
        self._mix("frames.read", "frames.mix", weight, before)
        self._residual("frames.mix", "frames.first")
        self._residual("frames.first", "frames.second")
        self.add(
            Reduce("mean", "frames.power", "coarse.mean", axis=0, keep=True),
            Binary("add", "coarse.mean", floor, "coarse.floored"),
            Unary("log", "coarse.floored", "coarse"),
        )
        weight = _by_signal(self._tensors["coarse.mix.conv"])
        self._mix("coarse", "coarse.mix", weight, self.norm("coarse.power").by_signal())
        self.add(Reshape("coarse.mix", "coarse.vector", (COARSE_WIDTH,)))
        return (*self._statistics("frames.second"), "coarse.vector")

    def whole(self) -> tuple[str, ...]:
        """The whole window's spectrum, means and variances."""
        self._power("fine.waves", FINE_BINS, "fine.bins")
        self.add(
            Reshape("fine.bins", "fine.power", (1, SIGNALS * FINE_BINS)),
            Binary("add", "fine.power", FLOOR.repeat(FINE_BINS) * np.float32(0.1), "fine.floored"),
            Unary("log", "fine.floored", "fine"),
        )
        weight = self._tensors["fine.mix.conv"].reshape(FINE_WIDTH, -1)
        before = _Norm(*(part.repeat(FINE_BINS) for part in self.norm("fine.power").parts()))
        self._mix("fine", "fine.mix", weight, before)
        self.add(
            Reshape("fine.mix", "fine.vector", (FINE_WIDTH,)),
            Reshape("means", "levels", (SIGNALS,)),
            Unary("square", "centred", "centred.squared"),
            Reduce("mean", "centred.squared", "variances"),
            Binary("add", "variances", FLOOR, "variances.floored"),
            Unary("log", "variances.floored", "variances.log"),
        )
        return "fine.vector", "levels", "variances.log"

    def wave(self) -> tuple[str, ...]:
        """Statistics of what strided convolutions make of the compressed signals."""
        for name, sign in (("up", 1.0), ("down", -1.0)):
            self.add(
                Binary("mul", "centred", _numbers(sign * LOUDNESS), f"{name}.loud"),
                Unary("relu", f"{name}.loud", f"{name}.half"),
                Binary("add", f"{name}.half", _numbers(1), f"{name}.above"),
                Unary("sqrt", f"{name}.above", f"{name}.root"),  # not every runtime's logarithm has float32's digits
            )
        self.add(Binary("sub", "up.root", "down.root", "wave"))
        self._convolve("wave", "wave.stem", stride=2, padding=4)
        self._convolve("wave.stem", "wave.down", stride=2, padding=3)
        self._convolve("wave.down", "wave.lower", stride=2, padding=2)
        self._residual("wave.lower", "wave.first")
        self._residual("wave.first", "wave.second", dilation=2)
        return self._statistics("wave.second")

    def _power(self, waves: str, bins: int, out: str) -> None:
        self.add(
            Unary("square", waves, f"{waves}.squared"),
            Slice(f"{waves}.squared", f"{waves}.cosine", 0, bins, axis=1),
            Slice(f"{waves}.squared", f"{waves}.sine", bins, 2 * bins, axis=1),
            Binary("add", f"{waves}.cosine", f"{waves}.sine", out),
        )

    def _mix(self, x: str, name: str, weight: Array, before: _Norm) -> None:
        """Norm, a layer over all I numbers of each of F rows, norm, GELU: x `(F, I)`, weight `(O, I)`, `(O, F)` out."""
        factor, summand = self.affine(f"{name}.norm")
        weight = weight * factor[:, None]
        bias = summand + weight @ before.summand
        self.add(
            Binary("sub", x, before.centre, f"{name}.centred"),
            Transpose(f"{name}.centred", f"{name}.columns"),
            Conv1d(f"{name}.columns", f"{name}.sums", (weight * before.factor)[:, :, None], bias),
            Unary("gelu", f"{name}.sums", name),
        )

    def _convolve(self, x: str, name: str, out: str = "", stride: int = 1, padding: int = 0, dilation: int = 1) -> None:
        """Convolution, norm, GELU."""
        factor, summand = self.affine(f"{name}.norm")
        weight = self._tensors[f"{name}.conv"] * factor[:, None, None]
        self.add(
            Conv1d(x, f"{name}.sums", weight, summand, stride=stride, dilation=dilation, padding=padding),
            Unary("gelu", f"{name}.sums", out or name),
        )

    def _residual(self, x: str, name: str, dilation: int = 1) -> None:
        self._convolve(x, name, f"{name}.branch", padding=dilation, dilation=dilation)
        self.add(Binary("add", x, f"{name}.branch", name))

    def _statistics(self, x: str) -> tuple[str, ...]:
        """Mean, standard deviation and maximum over time."""
        self.add(
            Reduce("mean", x, f"{x}.mean"),
            Unary("square", x, f"{x}.squared"),
            Reduce("mean", f"{x}.squared", f"{x}.power"),
            Unary("square", f"{x}.mean", f"{x}.mean.squared"),
            Binary("sub", f"{x}.power", f"{x}.mean.squared", f"{x}.variance"),
            Binary("maximum", f"{x}.variance", _numbers(1e-5), f"{x}.variance.floored"),
            Unary("sqrt", f"{x}.variance.floored", f"{x}.deviation"),
            Reduce("max", x, f"{x}.max"),
        )
        return f"{x}.mean", f"{x}.deviation", f"{x}.max"
