"""Core ML: an ML Program in an `.mlpackage`, written by coremltools' MIL builder, without PyTorch.

For iOS 18 and later (the default) the recurrence is the system's own GRU operator; for older systems it is a
loop. `Options.extra`: `coreml_target` (`ios15` to `ios18`).
"""

from __future__ import annotations

import importlib.metadata
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from primus_export.formats.base import Options, Precision
from primus_export.formats.coreml import package
from primus_export.formats.coreml.interpreter import Interpreter, chunks
from primus_export.formats.coreml.targets import target_of
from primus_export.formats.coreml.tool import coremltools_quietly
from primus_models.graph import INPUT, Array, Graph


class CoreMLFormat:
    """See `primus_export.formats.base.Format`."""

    name = "coreml"
    file = "encoder.mlpackage"
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8", "int4")

    def write(self, graph: Graph, path: Path, options: Options) -> None:
        """Write the package, a folder.

        Raises:
            ExportError: the options do not go together, or name what the target's system cannot read.
            LoweringError: a step has no form in Core ML.
            MissingToolError: coremltools is not installed.
            OutputError: the folder cannot be written.
        """
        target = target_of(options)
        with coremltools_quietly(), tempfile.TemporaryDirectory() as work:
            import coremltools as ct

            from primus_export.formats.coreml import lowering

            program = lowering.build(graph, options, target)
            model = ct.convert(
                program,
                convert_to="mlprogram",
                minimum_deployment_target=program.functions["main"].opset_version,
                compute_precision=ct.precision.FLOAT32,  # the program says itself what is float16
                pass_pipeline=ct.PassPipeline.EMPTY,  # what is written is what was lowered
                package_dir=str(Path(work) / self.file),
                skip_model_load=True,
            )
            package.write(model, path)

    def run(self, path: Path, windows: Array) -> dict[str, Array]:
        """The saved package's outputs: by Core ML on macOS, elsewhere by interpreting it in NumPy.

        Raises:
            ExportError: it cannot be read, or holds what the interpreter does not know.
            MissingToolError: coremltools is not installed.
        """
        with coremltools_quietly():
            run = _predict if sys.platform == "darwin" else _interpret
            parts = run(path, windows)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def manifest_entry(self, options: Options, path: Path) -> dict[str, object]:
        """The oldest systems, and the target."""
        target = target_of(options)
        return {"oldest_runtime": {"iOS": target.ios, "macOS": target.macos}, "target": target.name}

    def tools(self) -> dict[str, str]:
        """Versions by distribution name."""
        return {name: importlib.metadata.version(name) for name in ("coremltools", "numpy")}


def _interpret(path: Path, windows: Array) -> list[dict[str, Array]]:
    interpreter = Interpreter(path)
    return [interpreter.run(part) for part in chunks(windows)]


def _predict(path: Path, windows: Array) -> list[dict[str, Array]]:
    import coremltools as ct

    # Only the CPU computes float32 as float32; and the GRU operator has been reported wrong on the GPU.
    model: Any = ct.models.MLModel(str(path), compute_units=ct.ComputeUnit.CPU_ONLY)
    return [model.predict({INPUT: window[np.newaxis]}) for window in windows.astype(np.float32)]


FORMAT = CoreMLFormat()
