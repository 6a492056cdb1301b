"""Calibration on the device: examples collected from a live stream by label, then fitted."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.calibration.admission import LEAST_HZ, poor
from primus_sdk.calibration.bouts import Bouts
from primus_sdk.calibration.examples import MOST_LABELS, MOST_OF_A_LABEL, Examples, check_label
from primus_sdk.errors import CalibrationError
from primus_sdk.heads.head import Head
from primus_sdk.recogniser import Recogniser
from primus_sdk.streaming.recognition import Recognition

if TYPE_CHECKING:
    from primus_sdk.calibration.validation import Report

LEAST_STEP_S = 0.5
"""From one example's start to the next one's in a bout; nearer ones show the same, whatever the stream's hop."""

Outcome = Literal["taken", "outside", "held", "gaps", "saturated", "slow", "near", "full"]
"""What became of a window:

- taken: it is an example;
- outside: not wholly within one `begin` ... `end`;
- held: the rest gate repeated an earlier embedding for it;
- gaps, saturated, slow: badly measured, by the constants of `primus_sdk.calibration.admission`;
- near: it starts less than `LEAST_STEP_S` after the example before;
- full: there are 500 examples of the label, or 64 labels; remove some.
"""


class Timed(Protocol):
    """What a calibrator needs of a stream."""

    @property
    def newest_ns(self) -> int | None:
        """The newest timestamp that the stream accepted; none before the first."""

    @property
    def mount(self) -> NDArray[np.float64] | None:
        """The rotation learnt from use by which the stream turns samples, beside what its sensors declare."""


@dataclass(frozen=True)
class _Example:
    label: str
    bout: int
    start_ns: int
    end_ns: int
    embedding: NDArray[np.float32]


class Calibrator:
    """Collects examples for a head from a live stream.

    stream = recogniser.stream()
    calibrator = Calibrator(recogniser, stream)
    calibrator.begin("walking")
    for recognition in stream.push(timestamps_ns, rows): calibrator.add(recognition)
    calibrator.end()

    Every recognition of the stream is to be added as it comes, also outside of a bout and, as windows come up to 100 ms
    late, after `end`; one that lies wholly within a bout and is well measured becomes an example. A window never spans
    a reset of the stream, so one that follows a reset within a bout is as good as any.

    Memory is bounded: 500 examples of a label (the later are refused as "full", never the earlier dropped), 64 labels.
    Its methods may be called from several threads: say one that adds, and one of buttons that begin and end. A fit or
    report works on what is there when it starts, while others go on adding.
    """

    def __init__(
        self,
        recogniser: Recogniser | str,
        stream: Timed,
        *,
        mount: ArrayLike | None = None,
        least_hz: float = LEAST_HZ,
    ) -> None:
        """Collect from `stream`, of `recogniser` (or of the encoder with this sha256).

        mount: the rotation `(3, 3)` learnt from use by which the stream's samples are turned; default: the stream's,
        which is that of the head it was made with. Heads fitted here carry it. least_hz: lower it, down to 20, for a
        device whose sensors are always slower than 45 Hz.

        Raises:
            CalibrationError: the mount is no rotation, or `least_hz` is out of its range.
        """
        if isinstance(recogniser, str):
            encoder = recogniser
        else:
            known = arguments.instance(recogniser, Recogniser, "the recogniser", CalibrationError)
            encoder = known.manifest.encoder_sha256
        if not (hasattr(stream, "newest_ns") and hasattr(stream, "mount")):
            raise arguments.wrong(stream, "the stream", "recogniser.stream()", CalibrationError)
        mount = stream.mount if mount is None else mount
        self._stream = stream
        self._least_hz = arguments.number(least_hz, "least_hz", "20 to 1000 Hz", CalibrationError, 20, 1000)
        self._base = Examples.none(encoder, mount)
        self._lock = threading.RLock()
        self._examples: list[_Example] = []
        self._counts: Counter[str] = Counter()
        self._left_out: Counter[Outcome] = Counter()
        self._bouts = Bouts()
        self._undoable = 0  # number of the bout that was begun last; 0 once it was undone
        self._next = 1

    def begin(self, label: str) -> None:
        """From the stream's newest sample on the wearer does what `label` says.

        Raises:
            CalibrationError: the label is empty or one too many, or a bout is going on.
        """
        check_label(label)
        with self._lock:
            if label not in self._counts and len(self._counts) >= MOST_LABELS:
                raise CalibrationError(f"there are {MOST_LABELS} labels already; remove one before {label!r} begins")
            self._bouts.begin(self._next, label, self._stream.newest_ns)
            self._undoable, self._next = self._next, self._next + 1

    def end(self) -> None:
        """At the stream's newest sample the wearer stops; windows within the bout may still be added.

        Raises:
            CalibrationError: no bout is going on.
        """
        with self._lock:
            self._bouts.end(self._stream.newest_ns)

    def add(self, recognition: Recognition) -> Outcome:
        """Take a window as an example, or say why not.

        Raises:
            CalibrationError: it is no recognition.
        """
        arguments.instance(recognition, Recognition, "what is added", CalibrationError)
        with self._lock:
            outcome = self._outcome(recognition)
            if outcome != "taken":
                self._left_out[outcome] += 1
        return outcome

    def _outcome(self, recognition: Recognition) -> Outcome:
        window = recognition.window
        bout = self._bouts.around(window, self._stream.newest_ns)
        if bout is None:
            return "outside"
        if recognition.held:
            return "held"
        reason = poor(window.quality, self._least_hz)
        if reason is not None:
            return reason
        if bout.taken_ns is not None and window.start_ns - bout.taken_ns < LEAST_STEP_S * 1e9:
            return "near"
        count = self._counts[bout.label]
        if count >= MOST_OF_A_LABEL or (not count and len(self._counts) >= MOST_LABELS):
            return "full"
        bout.taken_ns = window.start_ns
        embedding = recognition.embedding.copy()
        self._examples.append(_Example(bout.label, bout.number, window.start_ns, window.end_ns, embedding))
        self._counts[bout.label] += 1
        return "taken"

    @property
    def counts(self) -> dict[str, int]:
        """How many examples there are of each label."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    @property
    def left_out(self) -> dict[Outcome, int]:
        """How many windows were no examples, by reason."""
        with self._lock:
            return dict(self._left_out)

    @property
    def going_on(self) -> str | None:
        """The label of the bout that is going on."""
        with self._lock:
            return self._bouts.current.label if self._bouts.current else None

    @property
    def examples(self) -> Examples:
        """All examples at this moment."""
        with self._lock:
            listed = list(self._examples)
        if not listed:
            return self._base
        return Examples(
            self._base.encoder_sha256,
            np.stack([example.embedding for example in listed]),
            tuple(example.label for example in listed),
            np.array([example.bout for example in listed], np.int32),
            np.array([(example.start_ns, example.end_ns) for example in listed], np.int64),
            self._base.mount,
        )

    def remove(self, label: str) -> int:
        """Drop all examples of a label; returns how many there were.

        Raises:
            CalibrationError: there are none, or it is the label of the bout that is going on.
        """
        check_label(label)
        with self._lock:
            self._check_known(label)
            self._bouts.forget_ended(label)
            return self._keep([example for example in self._examples if example.label != label])

    def rename(self, label: str, to: str) -> None:
        """Give a label another name; where that is a label already, both become one.

        Raises:
            CalibrationError: there is no such label, the new name is empty, or both together are more than 500.
        """
        check_label(label)
        check_label(to)
        with self._lock:
            self._check_known(label)
            if label != to and self._counts[label] + self._counts.get(to, 0) > MOST_OF_A_LABEL:
                raise CalibrationError(f"{label!r} and {to!r} have more than {MOST_OF_A_LABEL} examples together")
            self._bouts.rename(label, to)
            self._keep([
                _Example(to, example.bout, example.start_ns, example.end_ns, example.embedding)
                if example.label == label
                else example
                for example in self._examples
            ])  # fmt: skip

    def undo(self) -> int:
        """Drop the bout that was begun last, going on or ended, with its examples; returns how many there were.

        Raises:
            CalibrationError: none was begun since the last undo.
        """
        with self._lock:
            if not self._undoable:
                raise CalibrationError("there is no bout to undo; it takes back one, the last that was begun")
            number, self._undoable = self._undoable, 0
            self._bouts.forget(number)
            return self._keep([example for example in self._examples if example.bout != number])

    def fit(self, prior: Head | None = None, c: float | None = None) -> Head:
        """Fit a head on the examples; see `Examples.fit`. Take it into use with `recogniser.head = head`."""
        return self._some().examples.fit(prior, c)

    def report(self, folds: int = 5, prior: Head | None = None, c: float | None = None) -> Report:
        """How well such a head will recognise; see `Examples.report`."""
        return self._some().examples.report(folds, prior, c)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the examples to a file, so that `load` can take them up another day; see `Examples.save`."""
        self.examples.save(path)

    def load(self, path: str | os.PathLike[str]) -> int:
        """Add the examples of a file to those that are there; returns how many.

        Raises:
            CalibrationError: as `Examples.load`; or they are of another encoder, do not mix with those that are there,
                or are too many. None is then added.
        """
        loaded = Examples.load(path)
        with self._lock:
            self.examples.joined(loaded)  # for its errors
            numbers = {number: self._next + place for place, number in enumerate(np.unique(loaded.bouts).tolist())}
            self._next += len(numbers)
            for label, bout, (start, end), row in zip(
                loaded.labels, loaded.bouts.tolist(), loaded.times_ns.tolist(), loaded.embeddings, strict=True
            ):
                self._examples.append(_Example(label, numbers[bout], start, end, row.copy()))
            self._counts.update(loaded.counts)
        return len(loaded)

    def _some(self) -> Self:
        """Itself, once there are examples; else why there are none."""
        with self._lock:
            left_out = dict(self._left_out)
            if self._examples or not left_out:
                return self
        why = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        slow = ""
        if "slow" in left_out:
            slow = f". Sensors always slower than {self._least_hz:g} Hz need Calibrator(..., least_hz=), 20 or more"
        raise CalibrationError(f"there are no examples, as every window was left out: {why}{slow}")

    def _keep(self, examples: list[_Example]) -> int:
        gone = len(self._examples) - len(examples)
        self._examples = examples
        self._counts = Counter(example.label for example in examples)
        return gone

    def _check_known(self, label: str) -> None:
        if self.going_on == label:
            raise CalibrationError(f"{label!r} is going on; end() it first, or undo() it")
        if label not in self._counts:
            raise CalibrationError(f"there are no examples of {label!r}; there are of {list(self._counts)}")
