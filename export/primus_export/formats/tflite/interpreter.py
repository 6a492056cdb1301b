"""Running an exported file in LiteRT's own interpreter, as a device would: one thread, one window at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from primus_export.errors import ExportError
from primus_export.formats.tflite.full_int8 import quantize_window
from primus_models.graph import INPUT, Array

_KERNELS = {
    "default": OpResolverType.AUTO,
    "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}


def run(path: Path, windows: Array, kernels: str = "default") -> dict[str, Array]:
    """Every output for windows `(n, 6, 250)`, in float32, whatever the file itself takes and gives.

    kernels: `default` takes the XNNPACK delegate, as applications get it; `plain` is the library without any delegate.

    Raises:
        ExportError: the interpreter does not take the file.
    """
    try:
        interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=_KERNELS[kernels])
        runner = interpreter.get_signature_runner("serving_default")
    except (ValueError, RuntimeError) as error:
        raise ExportError(f"LiteRT does not take {path}: {error}; write the file anew with this version") from error
    takes, gives = runner.get_input_details()[INPUT], runner.get_output_details()
    given = windows.astype(np.float32)
    rows = [
        runner(**{INPUT: (quantize_window(window) if takes["dtype"] is np.int8 else window)[np.newaxis]})
        for window in given
    ]
    return {name: _floats(np.concatenate([row[name] for row in rows]), detail) for name, detail in gives.items()}


def output_quantization(content: bytes) -> dict[str, dict[str, float | int]]:
    """Scale and zero point of a file's int8 outputs, as the manifest gives them."""
    gives = Interpreter(model_content=content).get_signature_runner("serving_default").get_output_details()
    found = {name: detail["quantization"] for name, detail in gives.items() if detail["dtype"] is np.int8}
    return {name: {"scale": float(scale), "zero_point": int(zero)} for name, (scale, zero) in found.items()}


def _floats(values: NDArray[Any], detail: dict[str, Any]) -> Array:
    if detail["dtype"] is not np.int8:
        return values.astype(np.float32, copy=False)
    scale, zero_point = detail["quantization"]
    return np.asarray((values.astype(np.float32) - zero_point) * scale, np.float32)
