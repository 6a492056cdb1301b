"""Running an exported file in LiteRT's own interpreter, as a device would: one thread, one window at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from primus_export.errors import ExportError
from primus_models.graph import INPUT, Array
from primus_sdk.bundles.manifest import Quantization
from primus_sdk.runtimes.quantization import dequantized, stretched

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
    floats = windows.astype(np.float32)
    given = stretched(floats) if takes["dtype"] is np.int8 else floats
    rows = [runner(**{INPUT: window[np.newaxis]}) for window in given]
    return {
        name: dequantized(np.concatenate([row[name] for row in rows]), _quantization(detail))
        for name, detail in gives.items()
    }


def output_quantization(path: Path) -> dict[str, dict[str, float | int]]:
    """Scale and zero point of a file's int8 outputs, as the manifest gives them."""
    gives = Interpreter(str(path)).get_signature_runner("serving_default").get_output_details()
    found = {name: _quantization(detail) for name, detail in gives.items()}
    return {name: {"scale": by.scale, "zero_point": by.zero_point} for name, by in found.items() if by}


def _quantization(detail: dict[str, Any]) -> Quantization | None:
    if detail["dtype"] is not np.int8:
        return None
    scale, zero_point = detail["quantization"]
    return Quantization(float(scale), int(zero_point))
