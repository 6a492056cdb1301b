"""ONNX Runtime: comes with the SDK, and runs windows in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_sdk import telemetry
from primus_sdk.bundles.manifest import Model
from primus_sdk.runtimes.base import closed, library_version
from primus_sdk.runtimes.quantization import dequantized, stretched

_BATCH = 64
"""Windows run at once: larger batches are no faster and cost memory."""


class OnnxRuntime:
    """One session on the CPU, one thread; made from bytes, so nothing is read from the disk again."""

    name = "onnxruntime"

    def __init__(self, model: Model, files: dict[str, bytes]) -> None:
        """Load the model; `files` holds its one file."""
        telemetry.disable()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # a device's log is the application's, not the runtime's
        self.version = library_version("onnxruntime", "onnxruntime")
        self._model = model
        self._session: Any = onnxruntime.InferenceSession(
            files[model.path], options, providers=["CPUExecutionProvider"]
        )
        source = self._session.get_inputs()[0]
        self._input: str = source.name
        self._batch = 1 if source.shape[0] == 1 else _BATCH

    def run(self, windows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See `Runtime.run`."""
        session = self._session  # a session runs on several threads, and lives until the last call is done with it
        if session is None:
            raise closed()
        quantization = self._model.input_quantization
        data = stretched(windows, quantization.peak) if quantization else windows
        parts = [
            session.run(list(self._model.outputs), {self._input: data[start : start + self._batch]})
            for start in range(0, len(data), self._batch)
        ]
        return {
            name: dequantized(np.concatenate(arrays), self._model.output_quantization.get(name))
            for name, arrays in zip(self._model.outputs, zip(*parts, strict=True), strict=True)
        }

    def close(self) -> None:
        """See `Runtime.close`."""
        self._session = None
