"""The recogniser: a bundle, loaded and proven on this device, that turns windows into embeddings and labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import bundle as bundles
from primus_sdk import prediction
from primus_sdk.bundle import Bundle
from primus_sdk.calibration import DEFAULT_C, fit_head
from primus_sdk.checks import check_known_answer, checked_windows
from primus_sdk.errors import CalibrationError, HeadError, WindowError
from primus_sdk.head import Head
from primus_sdk.manifest import EMBEDDING_SIZE, Manifest
from primus_sdk.prediction import Prediction
from primus_sdk.quality import FaultPolicy
from primus_sdk.runtimes import open_runtime
from primus_sdk.runtimes.base import closed
from primus_sdk.sensors import Sensors
from primus_sdk.stream import Stream
from primus_sdk.windows import Window, WindowStream

Windows: TypeAlias = ArrayLike | Window | Sequence[Window]


def load(bundle: str | os.PathLike[str] | None = None, runtime: str | None = None) -> Recogniser:
    """Load a bundle (a folder or a zip), check every byte of it, and prove its runtime on the known answer.

    With no bundle it is the released encoder, int8, that comes with the package. With no `runtime` it is the first of
    `onnxruntime`, `litert`, `tflite-runtime`, `tensorflow` and `coreml` that is installed and for which the bundle has
    a model; one that computes something wrong is an error, never passed over.

    Raises:
        BundleNotFoundError: nothing is there, or a file of the bundle is missing.
        BundleError: no bundle, of a newer schema, truncated, or altered in any bit.
        RuntimeUnavailableError: no runtime that is installed can run it; says what to install.
        RuntimeMismatchError: the runtime computes something else than the bundle's known answer.
        HeadError: the bundle's head cannot be read or belongs to another encoder.
    """
    return Recogniser(bundles.read(bundles.released() if bundle is None else bundle), runtime)


class Recogniser:
    """Turns windows into embeddings and labels; made by `load`.

    Its methods may be called from several threads. `close` may be called at any time: a call under way ends as it
    would have, every later one raises ClosedError.
    """

    def __init__(self, bundle: Bundle, runtime: str | None = None) -> None:
        """See `load`."""
        self._manifest = bundle.manifest
        self._head: Head | None = None
        if bundle.manifest.head is not None:
            self.head = Head.from_bytes(bundle.files[bundle.manifest.head])
        self._runtime, model = open_runtime(bundle, runtime)
        self._closed = False
        try:
            check_known_answer(bundle, model, self._runtime, self._head)
        except BaseException:
            self.close()
            raise

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself: provenance, licence, parity, tools."""
        return self._manifest

    @property
    def runtime(self) -> str:
        """The runtime at work and its version, as in `onnxruntime 1.32.0`."""
        return f"{self._runtime.name} {self._runtime.version}"

    @property
    def head(self) -> Head | None:
        """The head that `predict` uses; none until one was exported with the bundle, fitted or set.

        Setting raises HeadError when the head was fitted on another encoder's embeddings.
        """
        return self._head

    @head.setter
    def head(self, head: Head | None) -> None:
        if head is not None:
            head.check_encoder(self._manifest.encoder_sha256)
        self._head = head

    def embed(self, windows: Windows) -> NDArray[np.float32]:
        """The embedding `(512,)` of one window `(6, 250)`, or `(n, 512)` of several `(n, 6, 250)`, float32.

        Accelerometer x y z in m/s^2 with gravity, gyroscope x y z in rad/s, 50 Hz. `Window`s are taken too. A window
        embedded alone gives the same bits each time. Among others ONNX Runtime computes it in another order: within
        1e-4 for an fp32 model; for int8, where a rounding can tip over, within 1e-3 of the largest number and a cosine
        of 1 - 1e-6. The other runtimes always take windows one by one.

        Raises:
            WindowError: another shape or type, NaN or infinity, or other units.
            ClosedError: the recogniser was closed.
        """
        if self._closed:
            raise closed()
        batch, single = checked_windows(_arrays(windows))
        if not len(batch):
            return np.empty((0, EMBEDDING_SIZE), np.float32)
        embeddings = self._runtime.run(batch)["embedding"]
        if not np.isfinite(embeddings).all():
            raise WindowError("a window gave no finite embedding: its values are beyond any sensor's range")
        return embeddings[0] if single else embeddings

    def predict(self, window: ArrayLike | Window) -> Prediction:
        """What one window `(6, 250)` is, by the head.

        Raises:
            HeadError: there is no head yet.
            WindowError, ClosedError: as `embed`.
        """
        head = self._head
        if head is None:
            raise HeadError("there is no head: calibrate() one, set recogniser.head, or export the bundle with --head")
        embedding = self.embed(window)
        if embedding.ndim != 1:
            raise WindowError("predict takes one window (6, 250); for several, embed them and use head.probabilities")
        return prediction.predict(head, embedding)

    def calibrate(self, windows: Windows, labels: Sequence[str], *, c: float = DEFAULT_C, created: str = "") -> Head:
        """Fit a head on labelled windows `(n, 6, 250)`, take it into use, and return it (to `save`, say).

        `c` and `created` are as in `calibration.fit_head`. When this raises, the head in use stays as it was.

        Raises:
            CalibrationError: fewer than two labels, or not one label for each window.
            WindowError, ClosedError: as `embed`.
        """
        embeddings = self.embed(windows)
        if embeddings.ndim != 2:
            raise CalibrationError("calibrate takes several windows (n, 6, 250), of at least two labels")
        head = fit_head(embeddings, labels, self._manifest.encoder_sha256, c=c, created=created)
        self.head = head
        return head

    def stream(
        self,
        hop: float | None = None,
        *,
        sensors: Sensors = Sensors(),
        policy: FaultPolicy = FaultPolicy(),
    ) -> Stream:
        """A stream to push sensor samples into; it gives a recognition every `hop` seconds (default: the bundle's).

        `sensors` says what the samples to come mean, `policy` what gaps and late samples do. One recogniser may serve
        several streams.

        Raises:
            StreamError: an option is out of its range.
            ClosedError: the recogniser was closed.
        """
        if self._closed:
            raise closed()
        hop_seconds = self._manifest.hop_seconds if hop is None else hop
        return Stream(self, WindowStream(hop_seconds, sensors, policy))

    def close(self) -> None:
        """Give the model's memory back; a second call does nothing."""
        self._closed = True
        self._runtime.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        labels = f", {len(self._head.labels)} labels" if self._head else ""
        return f"<Recogniser {self._manifest.name} on {self.runtime}{labels}{', closed' if self._closed else ''}>"


def _arrays(windows: Windows) -> ArrayLike:
    if isinstance(windows, Window):
        return windows.imu
    if isinstance(windows, Sequence):
        items: list[Any] = [window.imu if isinstance(window, Window) else window for window in windows]
        return items
    return windows
