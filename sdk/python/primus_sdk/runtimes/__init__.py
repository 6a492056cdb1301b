"""Which runtime runs a bundle: the first of these that is installed and for which the bundle has a model.

1. `onnxruntime` comes with the SDK, and runs windows in batches.
2. `litert` is the fastest on one window; `pip install "primus-imu[litert]"`.
3. `tflite-runtime` and 4. `tensorflow` run the same file where LiteRT has no build.
5. `coreml` on macOS.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from typing import NamedTuple

from primus_sdk.bundles.bundle import Bundle
from primus_sdk.bundles.manifest import Model, ModelFormat
from primus_sdk.errors import RuntimeUnavailableError
from primus_sdk.runtimes.base import Runtime, library_version

__all__ = ["NAMES", "Runtime", "open_runtime"]


class _Backend(NamedTuple):
    name: str
    format: ModelFormat
    module: str
    distribution: str
    install: str
    make: Callable[[Model, dict[str, bytes]], Runtime]
    platform: str = ""

    def is_installed(self) -> bool:
        return sys.platform.startswith(self.platform) and importlib.util.find_spec(self.module) is not None


# Each imports its own module, not for every start.


def _onnx(model: Model, files: dict[str, bytes]) -> Runtime:
    from primus_sdk.runtimes.onnx import OnnxRuntime

    return OnnxRuntime(model, files)


def _tflite(name: str, module: str, distribution: str, install: str) -> _Backend:
    def make(model: Model, files: dict[str, bytes]) -> Runtime:
        from primus_sdk.runtimes.litert import TfliteRuntime

        return TfliteRuntime(name, module, distribution, model, files)

    return _Backend(name, "tflite", module, distribution, install, make)


def _coreml(model: Model, files: dict[str, bytes]) -> Runtime:
    from primus_sdk.runtimes.coreml import CoreMLRuntime

    return CoreMLRuntime(model, files)


_BACKENDS = (
    _Backend("onnxruntime", "onnx", "onnxruntime", "onnxruntime", "primus-imu", _onnx),
    _tflite("litert", "ai_edge_litert", "ai-edge-litert", "primus-imu[litert]"),
    _tflite("tflite-runtime", "tflite_runtime", "tflite-runtime", "tflite-runtime"),
    _tflite("tensorflow", "tensorflow", "tensorflow", "tensorflow"),
    _Backend("coreml", "coreml", "coremltools", "coremltools", "coremltools", _coreml, "darwin"),
)
NAMES = tuple(backend.name for backend in _BACKENDS)
"""What `load(runtime=...)` takes, in the order in which they are tried."""


def open_runtime(bundle: Bundle, name: str | None = None) -> tuple[Runtime, Model]:
    """Load one of the bundle's models into a runtime: the one asked for, else the first that can.

    Raises:
        RuntimeUnavailableError: the one asked for, or every one, is not installed, too old, has no model in the
            bundle, or cannot load it; the message says which and what to install.
    """
    if name is not None and name not in NAMES:
        raise RuntimeUnavailableError(f"there is no runtime {name!r}; choose one of {', '.join(NAMES)}")
    reasons = []
    for backend in _BACKENDS:
        if name in (None, backend.name):
            result = _try(backend, bundle)
            if not isinstance(result, str):
                return result
            reasons.append(result if name else f"{backend.name}: {result}")
    who = f"{name} cannot" if name else "no runtime can"
    raise RuntimeUnavailableError(f"{who} run this bundle: {'; '.join(reasons)}")


def _try(backend: _Backend, bundle: Bundle) -> tuple[Runtime, Model] | str:
    """The runtime with the bundle's first model of its format, or why not."""
    model = next((model for model in bundle.manifest.models if model.format == backend.format), None)
    if model is None:
        return f"the bundle has no {backend.format} model (primus-export --format {backend.format} makes one)"
    if not backend.is_installed():
        if not sys.platform.startswith(backend.platform):
            return "runs on macOS only"
        return f'not installed (pip install "{backend.install}")'
    if backend.platform == "darwin" and (system := _older_system(model.oldest_runtime.get("macOS"))):
        return system
    version = library_version(backend.module, backend.distribution)
    oldest = model.oldest_runtime.get(backend.distribution)
    if oldest and version != "unknown" and _numbers(version) < _numbers(oldest):
        return (
            f"version {version} is installed, the model needs {oldest} (pip install --upgrade {backend.distribution})"
        )
    try:
        return backend.make(model, bundle.content_of(model)), model
    except Exception as error:  # a library that does not load, or refuses the file, raises whatever it likes
        return f"version {version} cannot load {model.path} ({type(error).__name__}: {str(error)[:200]})"


def _older_system(oldest: str | None) -> str:
    """Why this macOS cannot run a model that needs one; empty where it can, or does not say which it is."""
    import platform  # not for every start

    running = platform.mac_ver()[0]
    if not oldest or not running or _numbers(running) >= _numbers(oldest):
        return ""
    return f"this is macOS {running}, the model needs {oldest} (primus-export has older targets)"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
