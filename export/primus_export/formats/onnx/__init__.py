"""ONNX, for ONNX Runtime: standard operators of opset 13, and in int8 and int4 its own MatMulNBits and Gelu."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from primus_export.errors import ExportError, MissingToolError
from primus_export.formats.base import PRECISIONS, Options, Precision
from primus_models.graph import Array, Graph
from primus_sdk.files import write_atomically

try:
    from onnx import checker

    from primus_export.formats.onnx.lower import lower
    from primus_export.formats.onnx.runtime import run
except ModuleNotFoundError as error:
    raise MissingToolError(
        f"the onnx format needs {error.name}, which is not installed: pip install 'primus-imu[export]'"
    ) from error

_OLDEST: dict[Precision, str] = {"fp32": "1.15.0", "fp16": "1.15.0", "int8": "1.22.0", "int4": "1.22.0"}
"""What the files were run on, right to the bounds. Before 1.22, MatMulNBits takes no 8-bit weights."""


class OnnxFormat:
    """See `primus_export.formats.base.Format`. Input `imu` `(batch, 6, 250)`, any batch; outputs `(batch, *shape)`."""

    name = "onnx"
    file = "encoder.onnx"
    precisions: tuple[Precision, ...] = PRECISIONS

    def write(self, graph: Graph, path: Path, options: Options) -> None:
        """Lower the graph, hold it against ONNX's own checker and shape inference, and write it.

        Raises:
            ExportError: int8 input and output were asked for.
            LoweringError: the graph has a step that this format does not know.
            OutputError: the file cannot be written.
        """
        if options.io == "int8":
            raise ExportError("--io int8 is for TFLite only; ONNX files take and give float32: leave it out")
        model = lower(graph, options.precision, options.calibration)
        checker.check_model(model, full_check=True)
        write_atomically(path, model.SerializeToString(deterministic=True))

    def run(self, path: Path, windows: Array) -> dict[str, Array]:
        """The file's outputs for windows `(n, 6, 250)`, by ONNX Runtime, one at a time."""
        return run(path, windows)

    def manifest_entry(self, options: Options, path: Path) -> dict[str, object]:
        """The oldest ONNX Runtime that runs this precision; input and output are float32."""
        return {
            "oldest_runtime": {"onnxruntime": _OLDEST[options.precision]},
            "input_quantization": None,
            "output_quantization": None,
        }

    def tools(self) -> dict[str, str]:
        """Versions of what wrote and ran the file."""
        return {name: metadata.version(name) for name in ("onnx", "onnxruntime")}


FORMAT = OnnxFormat()
