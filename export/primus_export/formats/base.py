"""What a format is: one module that lowers a graph into a file and runs that file in the format's own runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, get_args

from primus_models.graph import Array, Graph

Precision: TypeAlias = Literal["fp32", "fp16", "int8", "int4"]
Io: TypeAlias = Literal["float32", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

MIN_QUANTIZED = 16_384
"""Matrices with fewer weights stay float32: quantizing them saves next to nothing and costs accuracy."""


@dataclass(frozen=True, eq=False)
class Options:
    """How to lower.

    precision: of the large matrices (recurrent, input, linear); convolutions, norms and biases stay float32 (fp16:
    every weight; int4: large convolutions are stored in 8 bits, and restored to float32 on loading).
    io: `int8` quantizes input, output and activations too, from the ranges of `calibration`.
    calibration: windows `(n, 6, 250)`, m/s^2 and rad/s. extra: what one format alone understands, by name
    (`coreml_target`, `tflite_per_channel`, ...).
    """

    precision: Precision
    calibration: Array
    io: Io = "float32"
    extra: dict[str, str] = field(default_factory=dict)


class Format(Protocol):
    """One export format; see CONTRIBUTING.md for how to add another."""

    name: str
    """As on the command line: `onnx`."""
    file: str
    """The model's file, or folder, in the bundle: `encoder.onnx`."""
    precisions: tuple[Precision, ...]

    def write(self, graph: Graph, path: Path, options: Options) -> None:
        """Lower the graph and write the model to `path` (not there yet).

        Deterministic: the same graph gives the same bytes.
        """

    def run(self, path: Path, windows: Array) -> dict[str, Array]:
        """The file's outputs for windows `(n, 6, 250)` in float, one at a time, as a device would run them."""

    def manifest_entry(self, options: Options, path: Path) -> dict[str, object]:
        """What the manifest says of the model written to `path` beyond the common fields.

        Oldest runtimes, quantization of input and output, target.
        """

    def tools(self) -> dict[str, str]:
        """Versions of the tools that wrote and ran the file, by distribution name."""
