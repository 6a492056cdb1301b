"""The three libraries that run .tflite files: LiteRT, tflite-runtime, and TensorFlow's own interpreter."""

from __future__ import annotations

import importlib
from typing import Any

from numpy.typing import NDArray

from primus_sdk.bundles.manifest import Model
from primus_sdk.runtimes.base import OneAtATime, library_version

_INTERPRETERS = {
    "ai_edge_litert": "ai_edge_litert.interpreter",
    "tflite_runtime": "tflite_runtime.interpreter",
    "tensorflow": "tensorflow.lite.python.interpreter",
}
"""Where each library's package keeps its `Interpreter`."""


class TfliteRuntime(OneAtATime):
    """One interpreter on the CPU, one thread."""

    def __init__(self, name: str, module: str, distribution: str, model: Model, files: dict[str, bytes]) -> None:
        """Load the model into the interpreter of the library `module`; `files` holds its one file."""
        self.name = name
        interpreter_class = importlib.import_module(_INTERPRETERS[module]).Interpreter
        self.version = library_version(module, distribution)
        self._content = files[model.path]  # the interpreter points into these bytes
        self._interpreter: Any = interpreter_class(model_content=self._content, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input: int = self._interpreter.get_input_details()[0]["index"]
        tensors = {detail["name"]: detail["index"] for detail in self._interpreter.get_output_details()}
        self._outputs: dict[str, int] = {output: tensors[output] for output in model.outputs}
        super().__init__(model)

    def _run_one(self, window: NDArray[Any]) -> dict[str, NDArray[Any]]:
        self._interpreter.set_tensor(self._input, window)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}

    def _release(self) -> None:
        self._interpreter = None
        self._content = b""
