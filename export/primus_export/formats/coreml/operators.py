"""The MIL operators that this format writes, computed in NumPy as Apple documents them.

Each takes its saved arguments, floats as float32, and gives a list with one array for each output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from primus_export.errors import ExportError

Tensor = NDArray[Any]


@dataclass(frozen=True)
class Arguments:
    """Saved arguments by name.

    rounded: to the precision that the operator's own intermediate values have.
    """

    by_name: dict[str, Any]
    rounded: Callable[[Tensor], Tensor]

    def __getitem__(self, name: str) -> Any:
        if name not in self.by_name:
            raise ExportError(f"an operator lacks its argument {name!r}; it has: {', '.join(self.by_name)}")
        return self.by_name[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The argument, or what its absence means."""
        return self.by_name.get(name, default)

    def axes(self, name: str) -> tuple[int, ...]:
        """An argument that lists axes or sizes."""
        return tuple(int(i) for i in np.atleast_1d(self[name]))


def _require(ok: bool, what: str) -> None:
    if not ok:
        raise ExportError(f"the package holds {what}, which cannot be checked here")


def sigmoid(x: Tensor) -> Tensor:
    """Without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), x.dtype)


def _conv(a: Arguments) -> Tensor:
    x, weight = a["x"], a["weight"]
    (stride,), (dilation,) = a.axes("strides"), a.axes("dilations")
    _require(int(a.get("groups", 1)) == 1, "a convolution in groups")
    _require(a["pad_type"] == "custom", "a convolution with implicit padding")
    x = np.pad(x, ((0, 0), (0, 0), a.axes("pad")))
    length = (x.shape[2] - dilation * (weight.shape[2] - 1) - 1) // stride + 1
    y: Tensor = np.zeros((len(x), weight.shape[0], length), np.float32)
    for tap in range(weight.shape[2]):
        start = tap * dilation
        y += weight[:, :, tap] @ x[:, :, start : start + (length - 1) * stride + 1 : stride]
    bias = a.get("bias")
    return y if bias is None else y + bias[:, np.newaxis]


def _max_pool(a: Arguments) -> Tensor:
    (kernel,), (stride,) = a.axes("kernel_sizes"), a.axes("strides")
    _require(a["pad_type"] == "valid" and not a.get("ceil_mode", False), "a pooling with padding")
    return np.asarray(sliding_window_view(a["x"], kernel, axis=2)[:, :, ::stride].max(axis=3))


def _layer_norm(a: Arguments) -> Tensor:
    _require(a.get("gamma") is None and a.get("beta") is None, "a layer_norm with scale or shift")
    x, axes = a["x"], a.axes("axes")
    centred = x - x.mean(axis=axes, keepdims=True)
    return np.asarray(centred / np.sqrt(np.square(centred).mean(axis=axes, keepdims=True) + a["epsilon"]))


def _linear(a: Arguments) -> Tensor:
    y: Tensor = a["x"] @ a["weight"].T
    bias = a.get("bias")
    return y if bias is None else y + bias


def _matmul(a: Arguments) -> Tensor:
    x = a["x"].swapaxes(-1, -2) if a.get("transpose_x", False) else a["x"]
    y = a["y"].swapaxes(-1, -2) if a.get("transpose_y", False) else a["y"]
    return np.asarray(x @ y)


def _gelu(a: Arguments) -> Tensor:
    from scipy.special import erf

    _require(a.get("mode", "EXACT") == "EXACT", "an approximate gelu")
    x = a["x"]
    return np.asarray(0.5 * x * (1 + erf(x / np.float32(np.sqrt(2)))))


def _gru(a: Arguments) -> list[Tensor]:
    """Run `(steps, n, I)`; rows are ordered r, n, z; with `reset_after`, r scales the product with `bias` in it."""
    _require(a.get("direction", "forward") == "forward", "a GRU that runs backwards")
    _require(not a.get("output_sequence", False), "a GRU that gives every state")
    _require(bool(a.get("reset_after", False)), "a GRU that resets before its product")
    _require(a.get("recurrent_activation", "sigmoid") == "sigmoid", "a GRU with other gates than sigmoid")
    _require(a.get("activation", "tanh") == "tanh", "a GRU with another activation than tanh")
    x, rounded = a["x"], a.rounded
    h = np.repeat(a["initial_h"], x.shape[1] // len(a["initial_h"]), axis=0)
    inputs = rounded(x @ a["weight_ih"].T + a.get("input_bias", 0))
    recurrent, bias = np.ascontiguousarray(a["weight_hh"].T), a.get("bias", 0)
    for row in inputs:
        x_r, x_n, x_z = np.split(row, 3, axis=1)
        h_r, h_n, h_z = np.split(rounded(h @ recurrent + bias), 3, axis=1)
        r, z = rounded(sigmoid(rounded(x_r + h_r))), rounded(sigmoid(rounded(x_z + h_z)))
        n = rounded(np.tanh(rounded(x_n + rounded(r * h_n))))
        h = rounded(rounded(rounded(1 - z) * n) + rounded(z * h))
    return [h[np.newaxis], h]


def _gather(a: Arguments) -> Tensor:
    return np.asarray(np.take(a["x"], a["indices"], axis=int(a["axis"])))


def _slice_by_index(a: Arguments) -> Tensor:
    begin, end = a.axes("begin"), a.axes("end")
    rank = len(begin)
    stride = a.axes("stride") if a.get("stride") is not None else (1,) * rank
    from_start, to_end = a.get("begin_mask", [False] * rank), a.get("end_mask", [False] * rank)
    spans = zip(begin, end, stride, from_start, to_end, strict=True)
    return np.asarray(a["x"][tuple(slice(None if s else b, None if e else f, t) for b, f, t, s, e in spans)])


def _softmax(a: Arguments) -> Tensor:
    x, axis = a["x"], int(a.get("axis", -1))
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def _affine_dequantize(a: Arguments) -> Tensor:
    data = a["quantized_data"]
    along = [1] * data.ndim
    along[int(a["axis"])] = -1
    zero, scale = (np.reshape(a[name], along if np.ndim(a[name]) else ()) for name in ("zero_point", "scale"))
    return np.asarray(scale * (data.astype(np.float32) - zero.astype(np.float32)))


def _blockwise_shift_scale(a: Arguments) -> Tensor:
    data, scale = a["data"], a["scale"]
    _require(a.get("offset") is None, "quantized weights with an offset")
    for axis, (values, scales) in enumerate(zip(data.shape, scale.shape, strict=True)):
        scale = np.repeat(scale, values // scales, axis=axis)
    return np.asarray(scale * data.astype(np.float32))


def _one(operator: Callable[[Arguments], Any]) -> Callable[[Arguments], list[Tensor]]:
    return lambda arguments: [np.asarray(operator(arguments))]


OPERATORS: dict[str, Callable[[Arguments], list[Tensor]]] = {
    "add": _one(lambda a: a["x"] + a["y"]),
    "cast": _one(lambda a: a["x"]),
    "concat": _one(lambda a: np.concatenate(a["values"], axis=int(a["axis"]))),
    "constexpr_affine_dequantize": _one(_affine_dequantize),
    "constexpr_blockwise_shift_scale": _one(_blockwise_shift_scale),
    "conv": _one(_conv),
    "expand_dims": _one(lambda a: np.expand_dims(a["x"], a.axes("axes"))),
    "gather": _one(_gather),
    "gelu": _one(_gelu),
    "gru": _gru,
    "identity": _one(lambda a: a["x"]),
    "layer_norm": _one(_layer_norm),
    "less": _one(lambda a: a["x"] < a["y"]),
    "linear": _one(_linear),
    "log": _one(lambda a: np.log(a["x"] + a.get("epsilon", 0))),
    "matmul": _one(_matmul),
    "max_pool": _one(_max_pool),
    "maximum": _one(lambda a: np.maximum(a["x"], a["y"])),
    "minimum": _one(lambda a: np.minimum(a["x"], a["y"])),
    "mul": _one(lambda a: a["x"] * a["y"]),
    "reduce_max": _one(lambda a: a["x"].max(axis=a.axes("axes"), keepdims=bool(a.get("keep_dims", False)))),
    "reduce_mean": _one(lambda a: a["x"].mean(axis=a.axes("axes"), keepdims=bool(a.get("keep_dims", False)))),
    "reduce_sum": _one(lambda a: a["x"].sum(axis=a.axes("axes"), keepdims=bool(a.get("keep_dims", False)))),
    "relu": _one(lambda a: np.maximum(a["x"], 0)),
    "reshape": _one(lambda a: a["x"].reshape(a.axes("shape"))),
    "sigmoid": _one(lambda a: sigmoid(a["x"])),
    "slice_by_index": _one(_slice_by_index),
    "softmax": _one(_softmax),
    "split": lambda a: np.split(a["x"], int(a["num_splits"]), axis=int(a["axis"])),
    "sqrt": _one(lambda a: np.sqrt(a["x"])),
    "square": _one(lambda a: np.square(a["x"])),
    "squeeze": _one(lambda a: np.squeeze(a["x"], a.axes("axes"))),
    "sub": _one(lambda a: a["x"] - a["y"]),
    "tanh": _one(lambda a: np.tanh(a["x"])),
    "transpose": _one(lambda a: a["x"].transpose(a.axes("perm"))),
}
