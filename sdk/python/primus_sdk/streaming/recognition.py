"""From windows to recognitions, in their order: the rest gate, smoothing and rejection, live and replayed alike.

The rules, for the windows of one stream in the order of time; all state is forgotten where a window follows a reset of
the stream (`quality.after_reset`) or another head is in use than for the window before:

- Rest gate: a window that is still (`quality.still`) is held where the window before was still as well: the encoder is
  not run, and the embedding that stands is the one of the first of these still windows. That first one is encoded, so
  that the state at rest is known. A still window that was refused holds nothing. (With a hop of more than 5 s,
  movement between two windows goes unseen.)
- Smoothing over N: the probabilities are the mean of the head's over the last N windows (fewer at the start), summed
  from the oldest on. A held window counts with the probabilities of the embedding that stands, as if the encoder had
  given it once more: so whatever came before a rest is forgotten after N windows, not held for as long as it lasts.
- Rejection comes last: where the likeliest label's probability is below the threshold, the prediction's label is None.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.bundles.manifest import EMBEDDING_SIZE, WINDOW_SHAPE
from primus_sdk.errors import HeadError, StreamError
from primus_sdk.heads.head import Head
from primus_sdk.heads.prediction import Prediction, checked_threshold, from_values
from primus_sdk.runtimes.base import closed
from primus_sdk.windowing.windows import Window

LONGEST_SMOOTHING = 1000
"""Windows; bounds the memory."""
DEFAULT_BATCH = 64
"""Windows that a replay embeds together, where nothing else is said."""


class Sleeper(Protocol):
    """What waits for samples, and must know when there will be none."""

    def wake(self) -> None:
        """Look again; called from any thread, returns at once."""


class Sleepers:
    """Those to wake on a close, held weakly; for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: weakref.WeakSet[Sleeper] = weakref.WeakSet()

    def add(self, sleeper: Sleeper) -> None:
        """Wake this one as well."""
        with self._lock:
            self._all.add(sleeper)

    def wake(self) -> None:
        """Wake all."""
        with self._lock:
            sleepers = list(self._all)
        for sleeper in sleepers:
            sleeper.wake()


class Embedder(Protocol):
    """What a stream needs of a recogniser."""

    @property
    def head(self) -> Head | None:
        """The head in use at this moment."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    def when_closed(self, sleeper: Sleeper) -> None:
        """Wake `sleeper` once it is closed; it is held weakly."""

    def embed(self, windows: ArrayLike, /) -> NDArray[np.float32]:
        """The embedding `(512,)` of a window `(6, 250)`, or `(n, 512)` of several `(n, 6, 250)`."""


@dataclass(frozen=True, eq=False, slots=True)
class Recognition:
    """One window of a stream: when it was and how good, and what it was recognised as.

    Attributes:
        window: its samples, time and quality.
        prediction: None while there is no head.
        embedding: float32 (512,), not to be written to.
        held: the rest gate spared the encoder: `embedding` is an earlier window's, of the same rest.
    """

    window: Window
    prediction: Prediction | None
    embedding: NDArray[np.float32]
    held: bool = False


class Counts(NamedTuple):
    """What became of a stream's windows so far.

    Attributes:
        windows: complete windows.
        encoded: those that the encoder was run for.
        held: those that the rest gate spared it; what is neither was passed over with an error.
    """

    windows: int = 0
    encoded: int = 0
    held: int = 0


@dataclass(frozen=True)
class Rules:
    """How recognitions follow from windows.

    Attributes:
        smoothing: over how many windows, 1 (off) to 1000.
        reject_below: a likeliest label of a lower probability is rejected; 0 rejects nothing, 1 at most.
        rest_gate: whether the encoder is spared while the head is still.

    Raises:
        StreamError: one is out of its range.
    """

    smoothing: int = 1
    reject_below: float = 0.0
    rest_gate: bool = False

    def __post_init__(self) -> None:
        expected = f"1 (off) to {LONGEST_SMOOTHING} windows"
        smoothing = arguments.whole(self.smoothing, "smoothing", expected, StreamError, 1, LONGEST_SMOOTHING)
        object.__setattr__(self, "smoothing", smoothing)
        object.__setattr__(self, "rest_gate", arguments.yes_or_no(self.rest_gate, "rest_gate", StreamError))
        object.__setattr__(self, "reject_below", checked_threshold(self.reject_below))


class _Rest(NamedTuple):
    """What stands while the head is still: the embedding `(512,)`, and what the head says of it `(K,)`."""

    embedding: NDArray[np.float32]
    values: NDArray[np.float64] | None


_NOTHING = np.empty((0, EMBEDDING_SIZE), np.float32)


class SequenceRecogniser:
    """Recognises the windows of one stream, one after the other; for one thread at a time.

    A window that raises an error is passed over. A head that asks for another mount than the windows were cut with is
    such an error: its probabilities would be silently wrong.
    """

    def __init__(self, recogniser: Embedder, rules: Rules, mount: NDArray[np.float64] | None) -> None:
        """Recognise with `recogniser`; `mount` is the rotation of the head that the windows were turned by."""
        self._recogniser, self._rules, self._mount = recogniser, rules, mount
        self._head: Head | None = None
        self._fits = True
        self._rest: _Rest | None = None
        self._recent: deque[NDArray[np.float64]] = deque(maxlen=rules.smoothing)
        self._windows = self._encoded = self._held = 0

    @property
    def counts(self) -> Counts:
        """What became of the windows so far."""
        return Counts(self._windows, self._encoded, self._held)

    def one(self, window: Window) -> Recognition:
        """Recognise the next window, embedded alone: bit for bit the same each time.

        Raises:
            ClosedError: the recogniser was closed.
            WindowError: the values are not in m/s^2 with gravity and rad/s.
            HeadError: the head in use asks for another mount.
        """
        self._windows += 1
        head, rest = self._recogniser.head, self._rest
        self._rest = None  # in case that this raises
        if window.quality.after_reset or head is not self._head:
            rest = None
            self._begin(head)
        self._check(self._fits)
        if rest is not None and self._gated(window):
            return self._said(window, rest, held=True)
        embedding = self._recogniser.embed(window.imu)
        return self._said(window, _Rest(embedding, head.probabilities(embedding) if head else None), held=False)

    def several(self, windows: Sequence[Window]) -> list[Recognition]:
        """Recognise the next windows, embedded together: as `one`, but for the order in which the encoder sums.

        Raises:
            as `one`; nothing has then been done, and `one` can be asked for each.
        """
        head = self._recogniser.head
        self._check(self._fits if head is self._head else self._fit(head))
        held = self._held_of(windows, head)
        encoded = [window.imu for window, is_held in zip(windows, held, strict=True) if not is_held]
        embeddings = self._recogniser.embed(np.concatenate(encoded).reshape(-1, *WINDOW_SHAPE)) if encoded else _NOTHING
        values = None if head is None else head.probabilities(embeddings)
        self._windows += len(windows)
        # Copied, so that one that is kept does not keep them all.
        found = iter(
            [_Rest(row.copy(), None) for row in embeddings]
            if values is None
            else [_Rest(row.copy(), of.copy()) for row, of in zip(embeddings, values, strict=True)]
        )
        done = []
        for window, is_held in zip(windows, held, strict=True):
            if window.quality.after_reset or head is not self._head:
                self._begin(head)
            rest = self._rest if is_held else next(found)
            assert rest is not None  # one that is held was planned so
            done.append(self._said(window, rest, held=is_held))
        return done

    def _held_of(self, windows: Sequence[Window], head: Head | None) -> list[bool]:
        """Which of the next windows the rest gate will hold."""
        if not self._rules.rest_gate:
            return [False] * len(windows)
        standing, before = self._rest is not None, self._head
        held: list[bool] = []
        for window in windows:
            still, anew, before = window.quality.still, window.quality.after_reset or head is not before, head
            held.append(still and standing and not anew)
            standing = still
        return held

    def _begin(self, head: Head | None) -> None:
        self._recent.clear()
        if head is not self._head:
            self._head, self._fits = head, self._fit(head)

    def _fit(self, head: Head | None) -> bool:
        return head is None or same_rotation(head.mount, self._mount)

    def _check(self, fits: bool) -> None:
        if self._recogniser.closed:
            raise closed()
        if not fits:
            raise HeadError(
                "the head in use was fitted with another mount than this stream turns its samples by: make a new "
                "stream, which takes the head's mount, or set the head that this one was made with"
            )

    def _gated(self, window: Window) -> bool:
        return self._rules.rest_gate and window.quality.still

    def _said(self, window: Window, found: _Rest, *, held: bool) -> Recognition:
        if held:
            self._held += 1
        else:
            self._encoded += 1
            found.embedding.setflags(write=False)  # it may stand for later windows
        self._rest = found if self._gated(window) else None
        prediction = None
        if self._head is not None and found.values is not None:
            values = found.values
            if self._rules.smoothing > 1:
                self._recent.append(values)
                values = _mean(self._recent)
            prediction = from_values(self._head.labels, values, found.embedding, self._rules.reject_below)
        return Recognition(window, prediction, found.embedding, held)


def same_rotation(first: NDArray[np.float64] | None, second: NDArray[np.float64] | None) -> bool:
    """Whether two mounts are the same; none is the one that turns nothing."""
    nothing = np.eye(3)
    return np.array_equal(nothing if first is None else first, nothing if second is None else second)


def _mean(values: deque[NDArray[np.float64]]) -> NDArray[np.float64]:
    total = values[0]
    for more in list(values)[1:]:
        total = total + more
    return total / len(values)
