"""What a runtime is to the SDK: something that runs one model file of a bundle."""

from __future__ import annotations

import abc
import importlib.util
import os
import sys
import threading
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from primus_sdk.bundles.manifest import Model
from primus_sdk.errors import ClosedError
from primus_sdk.runtimes.quantization import dequantized, stretched


class Runtime(Protocol):
    """A model, loaded and ready to run.

    `run` may be called from several threads, and `close` at any time: a call under way ends as it would have, every
    later one raises ClosedError.
    """

    name: str
    """As in `load(runtime=...)`: `onnxruntime`, `litert`, `tflite-runtime`, `tensorflow`, `coreml`."""
    version: str
    """The version of the library that runs the model."""

    def run(self, windows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The model's outputs by name, each `(n, ...)` float32, for windows `(n, 6, 250)`, m/s^2 and rad/s, n >= 1.

        A window run alone gives the same bits each time; among others it may differ, see `Recogniser.embed`.

        Raises:
            ClosedError: the runtime was closed.
        """

    def close(self) -> None:
        """Give the model's memory back; a second call does nothing."""


class OneAtATime(abc.ABC):
    """A runtime whose library runs one window at a time, on one thread at a time."""

    name: str
    version: str

    def __init__(self, model: Model) -> None:
        """A subclass loads `model` and calls this last: until then there is nothing to close."""
        self._model = model
        self._lock = threading.RLock()  # a signal's handler may close while its own thread runs a window
        self._closed = self._released = False
        self._running = 0

    def run(self, windows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See `Runtime.run`."""
        by = self._model.input_quantization
        inputs: NDArray[Any] = stretched(windows, by.peak) if by else windows
        with self._lock:
            if self._closed:
                raise closed()
            self._running += 1
        try:
            rows = [self._locked(window[np.newaxis]) for window in inputs]
        finally:
            with self._lock:
                self._running -= 1
                self._release_if_over()
        return {
            name: dequantized(np.concatenate([row[name] for row in rows]), self._model.output_quantization.get(name))
            for name in self._model.outputs
        }

    def close(self) -> None:
        """See `Runtime.close`. The memory is given back once the calls under way have ended."""
        with self._lock:
            self._closed = True
            self._release_if_over()

    @abc.abstractmethod
    def _run_one(self, window: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The outputs `(1, ...)` for one window `(1, 6, 250)`; called under the lock."""

    @abc.abstractmethod
    def _release(self) -> None:
        """Give the memory back; called once, under the lock."""

    def _locked(self, window: NDArray[Any]) -> dict[str, NDArray[Any]]:
        with self._lock:  # for each window, so that a long batch lets others in between
            return self._run_one(window)

    def _release_if_over(self) -> None:
        if self._closed and not self._running and not self._released:
            self._released = True
            self._release()


def closed() -> ClosedError:
    """The error for a call after `close`."""
    return ClosedError("the recogniser was closed; load the bundle again")


def library_version(module: str, distribution: str) -> str:
    """The version a library gives itself if it is loaded, else that of its distribution, else `unknown`."""
    stated = getattr(sys.modules.get(module), "__version__", None) or _beside(module, distribution)
    if stated:
        return str(stated)
    from importlib import metadata  # here, since it costs more than the rest of the SDK's import

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


def _beside(module: str, distribution: str) -> str | None:
    """The version that the distribution's folder beside a library's own is named after, if it is the only one."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    name = distribution.replace("-", "_")
    start, end = f"{name}-", ".dist-info"
    around = os.listdir(os.path.dirname(os.path.dirname(spec.origin)))
    found = [entry for entry in around if entry.startswith(start) and entry.endswith(end)]
    return found[0].removeprefix(start).removesuffix(end) if len(found) == 1 else None
