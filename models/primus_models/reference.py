"""The NumPy reference: what a graph means, in float64, against which every exported file is held."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from primus_models.graph import (
    GRU,
    INPUT,
    AdaptiveAvgPool1d,
    Array,
    Binary,
    Concat,
    Conv1d,
    Frames,
    Graph,
    GroupNorm,
    Linear,
    MaxPool1d,
    Reduce,
    Reshape,
    Slice,
    Softmax,
    Step,
    Transpose,
    Unary,
    adaptive_pool_matrix,
)  # fmt: skip

Value: TypeAlias = NDArray[np.float64]
Values: TypeAlias = dict[str, Value]


def run(graph: Graph, windows: Array) -> dict[str, Array]:
    """The graph's outputs for windows `(n, 6, 250)`, as float32 `(n, ...)`."""
    values = run_all(graph, windows)
    return {name: values[name].astype(np.float32) for name in graph.outputs}


def run_all(graph: Graph, windows: Array) -> Values:
    """Every value of the graph in float64, by name.

    What calibration ranges and layer-by-layer comparisons are read from.
    """
    values: Values = {INPUT: windows.astype(np.float64)}
    for step in graph.steps:
        values[step.out] = _apply(step, values)
    return values


def _apply(step: Step, values: Values) -> Value:
    match step:
        case GroupNorm():
            return _group_norm(step, values[step.x])
        case Conv1d():
            return _conv(step, values[step.x])
        case MaxPool1d():
            x = values[step.x]
            kept = x.shape[2] // step.kernel
            bins: Value = x[:, :, : kept * step.kernel].reshape(*x.shape[:2], kept, step.kernel)
            pooled: Value = bins.max(axis=3)
            return pooled
        case AdaptiveAvgPool1d():
            x = values[step.x]
            return x @ adaptive_pool_matrix(x.shape[2], step.size)
        case GRU():
            return gru_states(step, values[step.x])[-1]
        case Linear():
            y = values[step.x] @ step.weight.T.astype(np.float64)
            return y if step.bias is None else y + step.bias
        case Unary():
            return _unary(step, values[step.x])
        case Binary():
            return _binary(step, values)
        case Reduce():
            reduced: Value = getattr(values[step.x], step.op)(axis=step.axis + 1, keepdims=step.keep)
            return reduced
        case Concat():
            return np.concatenate([values[name] for name in step.xs], axis=step.axis + 1)
        case Slice():
            x = values[step.x]
            return x[:, step.start : step.stop] if step.axis == 0 else x[:, :, step.start : step.stop]
        case Transpose():
            return values[step.x].swapaxes(1, 2)
        case Reshape():
            x = values[step.x]
            return x.reshape(len(x), *step.shape)
        case Frames():
            x = values[step.x]
            frames = sliding_window_view(x, step.size, axis=2)[:, :, :: step.hop]
            return frames.swapaxes(1, 2).reshape(len(x), -1, step.size)
        case Softmax():
            x = values[step.x]
            e = np.exp(x - x.max(axis=-1, keepdims=True))
            softmax: Value = e / e.sum(axis=-1, keepdims=True)
            return softmax


def _group_norm(step: GroupNorm, x: Value) -> Value:
    grouped = x.reshape(len(x), step.groups, -1)
    mean, var = grouped.mean(axis=2, keepdims=True), grouped.var(axis=2, keepdims=True)
    normed = ((grouped - mean) / np.sqrt(var + step.eps)).reshape(x.shape)
    per_channel = (-1,) + (1,) * (x.ndim - 2)
    scaled: Value = normed * step.weight.reshape(per_channel) + step.bias.reshape(per_channel)
    return scaled


def taps(step: Conv1d, x: Value) -> Value:
    """What a convolution's filters `(O, I, K)` are multiplied with, at each of its T positions: `(n, I, T, K)`."""
    kernel = step.weight.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (step.padding, step.padding)))
    spans: Value = sliding_window_view(padded, step.dilation * (kernel - 1) + 1, axis=2)
    return spans[:, :, :: step.stride, :: step.dilation]


def _conv(step: Conv1d, x: Value) -> Value:
    y: Value = np.einsum("nitk,oik->not", taps(step, x), step.weight.astype(np.float64), optimize=True)
    return y if step.bias is None else y + step.bias[:, None]


def _sigmoid(x: Value) -> Value:
    half: Value = 0.5 * (1 + np.tanh(0.5 * x))  # does not overflow
    return half


def gru_states(step: GRU, x: Value) -> list[Value]:
    """The states of a GRU for its input `(n, steps, I)`: the zeros that it starts from, then one `(n, H)` a step."""
    inputs = x @ step.weight_ih.T.astype(np.float64) + step.bias_ih
    recurrent = step.weight_hh.T.astype(np.float64)
    states = [np.zeros((len(x), step.hidden))]
    for t in range(x.shape[1]):
        h = states[-1]
        xr, xz, xn = np.split(inputs[:, t], 3, axis=1)
        hr, hz, hn = np.split(h @ recurrent + step.bias_hh, 3, axis=1)
        r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
        n = np.tanh(xn + r * hn)
        states.append(n + z * (h - n))
    return states


def _binary(step: Binary, values: Values) -> Value:
    a = values[step.a]
    b = values[step.b] if isinstance(step.b, str) else step.b.astype(np.float64)[np.newaxis]
    rank = max(a.ndim, b.ndim)
    # Shapes broadcast per window, last axes aligned: a value of lower rank grows behind the windows' axis.
    a, b = (x.reshape(len(x), *(1,) * (rank - x.ndim), *x.shape[1:]) for x in (a, b))
    ufunc = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum}
    result: Value = ufunc[step.op](a, b)
    return result


def _unary(step: Unary, x: Value) -> Value:
    match step.op:
        case "relu":
            return np.maximum(x, 0)
        case "gelu":
            from scipy.special import erf

            gelu: Value = 0.5 * x * (1 + erf(x / np.sqrt(2)))
            return gelu
        case "tanh":
            return np.tanh(x)
        case "sigmoid":
            return _sigmoid(x)
        case "square":
            return np.square(x)
        case "sqrt":
            return np.sqrt(x)
        case "log":
            return np.log(x)
