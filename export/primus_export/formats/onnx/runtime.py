"""Runs an ONNX file in ONNX Runtime, as a device would: the CPU, one thread, one window at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from primus_models.graph import INPUT, Array
from primus_sdk import telemetry

telemetry.disable()  # before the library loads: nothing that is called later prevents its first report
import onnxruntime  # noqa: E402


def run(path: Path, windows: Array) -> dict[str, Array]:
    """The file's outputs for windows `(n, 6, 250)`, n at least 1, as float32 `(n, ...)`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    rows = [session.run(names, {INPUT: window[None].astype(np.float32)}) for window in windows]
    return {name: np.concatenate(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
