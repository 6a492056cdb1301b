"""TensorFlow Lite, now LiteRT: one flatbuffer, written from the schema itself, no converter in between.

The GRU is one WHILE operator (see `gru`); large matrices are quantized in a way that old and new runtimes agree on (see
`dense`).
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from primus_export.errors import ExportError, MissingToolError
from primus_export.formats.base import PRECISIONS, Options, Precision
from primus_models.graph import Array, Graph
from primus_sdk.files import write_atomically

try:
    from primus_export.formats.tflite.full_int8 import INPUT_TOP, lower_to_integers
    from primus_export.formats.tflite.interpreter import output_quantization, run
    from primus_export.formats.tflite.lowering import lower
except ModuleNotFoundError as error:
    raise MissingToolError(
        f"the tflite format needs {error.name}, which is not installed: pip install 'primus-imu[export]'"
    ) from error

_OLDEST = {"tflite-runtime": "2.14.0", "tensorflow": "2.16.2", "ai-edge-litert": "1.0.1"}
"""What the float-input files were run on, right to the bounds, in every precision; older ones may do."""

_OLDEST_INTEGERS = {"tensorflow": "2.16.2", "ai-edge-litert": "1.0.1"}
"""tflite-runtime 2.14 has no 16-bit RSQRT, and says so."""


class TfliteFormat:
    """See `primus_export.formats.base.Format`."""

    name = "tflite"
    file = "encoder.tflite"
    precisions: tuple[Precision, ...] = PRECISIONS

    def write(self, graph: Graph, path: Path, options: Options) -> None:
        """Write the file.

        Raises:
            ExportError: `io` is int8 and the precision is not.
            LoweringError: a step has no form in TFLite.
            OutputError: the file cannot be written.
        """
        if options.io == "float32":
            write_atomically(path, lower(graph, options.precision, options.calibration))
        elif options.precision == "int8":
            write_atomically(path, lower_to_integers(graph, options.calibration))
        else:
            raise ExportError(
                f"int8 input and output go with int8 weights, not {options.precision}: use --int8 --io int8"
            )

    def run(self, path: Path, windows: Array) -> dict[str, Array]:
        """The outputs in LiteRT with its default XNNPACK delegate, one thread, one window at a time."""
        return run(path, windows)

    def manifest_entry(self, options: Options, path: Path) -> dict[str, object]:
        """The oldest runtimes that were seen to run such a file and, with `io` int8, what its integers mean.

        Of the input no fixed scale is given but that each window is stretched over its own range: see `full_int8`.
        """
        if options.io == "float32":
            return {"oldest_runtime": dict(_OLDEST)}
        return {
            "oldest_runtime": dict(_OLDEST_INTEGERS),
            "input_quantization": {"kind": "stretch", "peak": INPUT_TOP, "zero_point": 0},
            "output_quantization": output_quantization(path),
        }

    def tools(self) -> dict[str, str]:
        """Versions by distribution name."""
        return {name: metadata.version(name) for name in ("ai-edge-litert", "flatbuffers")}


FORMAT = TfliteFormat()
