"""The recogniser: a bundle, loaded and proven on this device, that turns windows into embeddings and labels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.bundles import bundle as bundles
from primus_sdk.bundles.bundle import Bundle
from primus_sdk.bundles.manifest import EMBEDDING_SIZE, WINDOW_SHAPE, Manifest
from primus_sdk.checks import check_known_answer, checked_windows
from primus_sdk.errors import CalibrationError, HeadError, StreamError, WindowError
from primus_sdk.heads import prediction
from primus_sdk.heads.head import Head
from primus_sdk.heads.prediction import Prediction
from primus_sdk.runtimes import open_runtime
from primus_sdk.runtimes.base import closed
from primus_sdk.streaming.recognition import DEFAULT_BATCH, Rules, Sleeper, Sleepers
from primus_sdk.streaming.stream import Stream
from primus_sdk.windowing.quality import FaultPolicy
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import Window, WindowStream

if TYPE_CHECKING:
    from primus_sdk.streaming.replay import Replay, Source

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
    return Recogniser(bundles.read(bundles.RELEASED if bundle is None else bundle), runtime)


class Recogniser:
    """Turns windows into embeddings and labels; made by `load`.

    Its methods may be called from several threads. `close` may be called at any time: a call under way ends as it
    would have, every later one raises ClosedError.
    """

    def __init__(self, bundle: Bundle, runtime: str | None = None) -> None:
        """See `load`."""
        self._manifest = bundle.manifest
        self._sleepers = Sleepers()
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

        Setting raises HeadError when it is no head, or was fitted on another encoder's embeddings.
        """
        return self._head

    @head.setter
    def head(self, head: Head | None) -> None:
        if head is not None:
            arguments.instance(head, Head, "the head", HeadError).check_encoder(self._manifest.encoder_sha256)
        self._head = head

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def embed(self, windows: Windows) -> NDArray[np.float32]:
        """The embedding `(512,)` of one window `(6, 250)`, or `(n, 512)` of several `(n, 6, 250)`, float32.

        Accelerometer x y z in m/s^2 with gravity, gyroscope x y z in rad/s, 50 Hz. `Window`s are taken too. A window
        embedded alone gives the same bits each time. Among others ONNX Runtime computes it in another order: within
        1e-4 (int4 and files exported elsewhere may round differently). The other runtimes take windows one by one.

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

    def predict(self, window: ArrayLike | Window, reject_below: float = 0.0) -> Prediction:
        """What one window `(6, 250)` is, by the head; its label is None where the probability is below `reject_below`.

        The window is in the axes that the head was fitted in: where the head has a mount, turned by it, as the windows
        of this recogniser's streams are.

        Raises:
            HeadError: there is no head yet.
            StreamError: `reject_below` is no probability.
            WindowError, ClosedError: as `embed`.
        """
        head = self._head
        if head is None:
            raise HeadError("there is no head: calibrate() one, set recogniser.head, or export the bundle with --head")
        threshold = prediction.checked_threshold(reject_below)
        embedding = self.embed(window)
        if embedding.ndim != 1:
            raise WindowError("predict takes one window (6, 250); for several, embed them and use head.probabilities")
        return prediction.predict(head, embedding, threshold)

    def calibrate(
        self,
        windows: Windows,
        labels: Sequence[str],
        *,
        c: float | None = None,
        prior: Head | None = None,
        mount: ArrayLike | None = None,
        created: str = "",
    ) -> Head:
        """Fit a head on labelled windows `(n, 6, 250)`, take it into use, and return it (to `save`, say).

        `c`, `prior` and `created` are as in `calibration.fit_head`. `mount` is the rotation learnt from use that the
        windows were turned by, which the head will carry; by default that of the head in use, by which this
        recogniser's streams turn. When this raises, the head in use stays as it was.

        Raises:
            CalibrationError: fewer than two labels, or not one label for each window.
            HeadError: the prior is of another encoder, or the mount is no rotation.
            WindowError, ClosedError: as `embed`.
        """
        if mount is None and self._head is not None:
            mount = self._head.mount
        embeddings = self.embed(windows)
        if embeddings.ndim != 2:
            raise CalibrationError("calibrate takes several windows (n, 6, 250), of at least two labels")
        sha256 = self._manifest.encoder_sha256
        from primus_sdk.calibration.fit import fit_head  # not for every start

        head = fit_head(embeddings, labels, sha256, c=c, prior=prior, mount=mount, created=created)
        self.head = head
        return head

    def stream(
        self,
        hop: float | None = None,
        *,
        sensors: Sensors = Sensors(),
        policy: FaultPolicy = FaultPolicy(),
        smoothing: int = 1,
        reject_below: float = 0.0,
        rest_gate: bool = False,
    ) -> Stream:
        """A stream to push sensor samples into; it gives a recognition every `hop` seconds (default: the bundle's).

        sensors: what the samples to come mean. Where the head in use has a mount, samples are turned by it as well,
        after `sensors.mount`; a head with another mount, set later, needs a new stream. policy: what gaps and late
        samples do. smoothing: the probabilities are the mean over so many windows. reject_below: a less likely label
        is None. rest_gate: the encoder is spared while the head is still. The latter three are told exactly in
        `primus_sdk.streaming.recognition`.

        Raises:
            StreamError: an option is out of its range.
            ClosedError: the recogniser was closed.
        """
        rules = Rules(smoothing, reject_below, rest_gate)
        windows, mount = self._windows(hop, sensors, policy)
        return Stream(self, windows, rules, mount)

    def replay(
        self,
        source: Source,
        hop: float | None = None,
        *,
        sensors: Sensors = Sensors(),
        policy: FaultPolicy = FaultPolicy(),
        smoothing: int = 1,
        reject_below: float = 0.0,
        rest_gate: bool = False,
        batch: int = DEFAULT_BATCH,
    ) -> Replay:
        """An iterator over the recognitions of a recording: as a stream would give them, but faster.

        source: a `Recording`, its accelerometer and gyroscope `Samples`, or what `Stream.over` takes. The windows are
        those of a live stream; they are embedded in batches of up to `batch` (see `embed` for what that changes). The
        other options are those of `stream`.

        Raises:
            StreamError: an option is out of its range, or a sensor has not as many timestamps as values.
            ClosedError: the recogniser was closed.
        """
        rules = Rules(smoothing, reject_below, rest_gate)
        windows, mount = self._windows(hop, sensors, policy)
        from primus_sdk.streaming.replay import Replay  # not for every start

        return Replay(self, windows, source, rules, mount, batch)

    def _windows(
        self, hop: float | None, sensors: Sensors, policy: FaultPolicy
    ) -> tuple[WindowStream, NDArray[np.float64] | None]:
        """What cuts a stream's windows, and the head's mount by which it turns the samples."""
        if self._closed:
            raise closed()
        head = self._head
        mount = None if head is None else head.mount
        if mount is not None:
            sensors = arguments.instance(sensors, Sensors, "sensors", StreamError)
            total = mount if sensors.mount is None else mount @ np.array(sensors.mount)
            sensors = dataclasses.replace(sensors, mount=total)
        return WindowStream(self._manifest.hop_seconds if hop is None else hop, sensors, policy), mount

    def close(self) -> None:
        """Give the model's memory back; a second call does nothing."""
        self._closed = True
        self._runtime.close()
        self._sleepers.wake()

    def when_closed(self, sleeper: Sleeper) -> None:
        """Wake `sleeper` (a `Live`) once this is closed; it is held weakly."""
        self._sleepers.add(sleeper)

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
    if isinstance(windows, Sequence) and not isinstance(windows, str | bytes):
        items: list[Any] = [window.imu if isinstance(window, Window) else window for window in windows]
        return items if items else np.empty((0, *WINDOW_SHAPE))
    return windows
