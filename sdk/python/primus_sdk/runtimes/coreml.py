"""Core ML, through coremltools: macOS only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_sdk.bundles.manifest import Model
from primus_sdk.runtimes.base import OneAtATime, library_version


class CoreMLRuntime(OneAtATime):
    """One compiled model, on the CPU."""

    name = "coreml"

    def __init__(self, model: Model, files: dict[str, bytes]) -> None:
        """Load the model; `files` holds every file of its package."""
        import tempfile
        from pathlib import Path  # not for every start

        import coremltools

        self.version = library_version("coremltools", "coremltools")
        # Core ML reads from folders only: a private one (mode 700), which goes with the runtime.
        self._folder = tempfile.TemporaryDirectory(prefix="primus-")
        for path, content in files.items():
            file = Path(self._folder.name, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        # The CPU computes what the exporter proved; other units round to float16, and run the GRU operator differently.
        self._compiled: Any = coremltools.models.MLModel(
            str(Path(self._folder.name, model.path)), compute_units=coremltools.ComputeUnit.CPU_ONLY
        )
        super().__init__(model)

    def _run_one(self, window: NDArray[Any]) -> dict[str, NDArray[Any]]:
        results = self._compiled.predict({"imu": window})
        return {name: np.asarray(results[name]).reshape(1, -1) for name in self._model.outputs}

    def _release(self) -> None:
        self._compiled = None
        self._folder.cleanup()
