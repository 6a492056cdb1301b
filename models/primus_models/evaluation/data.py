"""What is measured on: labelled windows of several people, from a prepared data set or read through the SDK."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from primus_models.data import Signal, held_out, signals_of, windows
from primus_models.errors import EvaluationError
from primus_models.graph import Array
from primus_models.preparation import prepared
from primus_sdk.commands._progress import tracked
from primus_sdk.recordings import Recording, Report, classyglass, folder, watch

Kind = Literal["auto", "prepared", "classyglass", "watch", "folder"]
KINDS: tuple[Kind, ...] = ("auto", "prepared", "classyglass", "watch", "folder")
BLOCK = 2048
"""Windows read, embedded and cached together."""
_TESTED = ("test", "val")


@dataclass(frozen=True, eq=False)
class Labelled:
    """n windows that have a label; the arrays they lie in may be memory maps that hold others, too.

    Attributes:
        source: the data set's name.
        array: float32 (m, 6, 250), m/s^2 with gravity, then rad/s; 50 Hz. rows: int64 (n,), the windows in it.
        label: int64 (n,), place in `labels`. user: (n,), who each is of. split: (n,), the publishers', or "".
        labels: all that occur, sorted.
        left_out: how many windows and recordings were not used, by reason.
    """

    source: str
    array: Array
    rows: NDArray[np.int64]
    label: NDArray[np.int64]
    user: NDArray[np.str_]
    split: NDArray[np.str_]
    labels: tuple[str, ...]
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def users(self) -> list[str]:
        """Everybody, shorter names first, so that 2 comes before 10."""
        return sorted(set(self.user.tolist()), key=lambda user: (len(user), user))

    def blocks(self) -> Iterator[Array]:
        """The windows in order, at most `BLOCK` at a time: float32 (b, 6, 250)."""
        for start in range(0, len(self), BLOCK):
            yield np.ascontiguousarray(self.array[self.rows[start : start + BLOCK]], np.float32)

    def sha256(self) -> str:
        """The identity of windows, labels, people and splits."""
        digest = hashlib.sha256("\0".join(self.labels).encode())
        for names in (self.user, self.split):
            digest.update("\0".join(names.tolist()).encode())
        digest.update(self.label.astype("<i8").tobytes())
        for block in self.blocks():
            digest.update(block.astype("<f4", copy=False).tobytes())
        return digest.hexdigest()

    def only(self, users: list[str]) -> Labelled:
        """The windows of these people.

        Raises:
            EvaluationError: one of them is not among the people.
        """
        missing = sorted(set(users) - set(self.users))
        if missing:
            raise EvaluationError(
                f"{self.source} has no user {missing[0]!r}; it has {', '.join(self.users[:40])}: choose among these"
            )
        return _labelled(self, np.isin(self.user, users))


def read(path: str, kind: Kind = "auto", quiet: bool = True) -> Labelled:
    """Read the labelled windows of a data set: a prepared folder, ClassyGlass, "watch", or recordings of one's own.

    Recordings are cut by the SDK's own stream into windows side by side, without overlap.

    Raises:
        PreparedError, RecordingError: it cannot be read.
        EvaluationError: no window of it has a label, or it is not said what it is.
    """
    kind = _kind(path) if kind == "auto" else kind
    if kind == "prepared":
        return from_prepared(prepared.load(path))
    report = Report()
    recordings: Iterator[Recording] | list[Recording]
    if kind == "watch":
        recordings = watch.read(None if path == "watch" else path)
    elif kind == "folder":
        recordings = folder.read(path, report)
    else:
        recordings = classyglass.read(path, report)
    found = [
        signal for recording in tracked(recordings, "reading recordings", quiet) for signal in signals_of(recording)
    ]
    left_out = {"recordings that could not be read": len(report.skipped)} if report.skipped else {}
    return from_signals(kind if kind != "folder" else Path(path).resolve().name, found, left_out)


def from_signals(source: str, signals: list[Signal], left_out: dict[str, int] | None = None) -> Labelled:
    """The windows of signals.

    Raises:
        EvaluationError: there are none.
    """
    if not signals:
        raise EvaluationError(f"{source} has no window: no recording is 5 s long; give longer ones")
    imu, names, users = windows(signals)
    labels, places = np.unique(names, return_inverse=True)
    splits = np.full(len(imu), "", "U5")
    everything = np.arange(len(imu), dtype=np.int64)
    return Labelled(
        source, imu, everything, places.astype(np.int64), users, splits, tuple(labels.tolist()), dict(left_out or {})
    )


def from_prepared(data: prepared.Prepared) -> Labelled:
    """The windows of a prepared data set that have a label.

    Raises:
        EvaluationError: none has.
    """
    rows = np.flatnonzero(data.label >= 0).astype(np.int64)
    if not len(rows):
        raise EvaluationError(
            f"no window of {data.source} has a label; an evaluation needs them: prepare a data set that has labels"
        )
    names = np.array(data.labels)[data.label[rows]]
    labels, places = np.unique(names, return_inverse=True)
    left_out = {"windows without a label": len(data) - len(rows)} if len(rows) < len(data) else {}
    return Labelled(
        data.source, data.windows, rows, places.astype(np.int64), data.users[rows], data.splits[rows],
        tuple(labels.tolist()), left_out,
    )  # fmt: skip


def unseen(data: Labelled, trained_on: frozenset[str] = frozenset()) -> list[str]:
    """All people but those that were trained on.

    Where nobody is known to be: those whom the project's own training on ClassyGlass holds out; of any other data set,
    everybody.
    """
    if trained_on:
        return [user for user in data.users if user not in trained_on]
    numbered = all(user.isdecimal() for user in data.users)
    return held_out(data.users) if data.source == "classyglass" and numbered else data.users


def has_split(data: Labelled) -> bool:
    """Whether its publishers say who is for fitting and who for testing."""
    return bool((data.split == "train").any() and np.isin(data.split, _TESTED).any())


def tested(data: Labelled) -> NDArray[np.bool_]:
    """The windows that the publishers' split tests on (n,): test, or, where there is no test part, val."""
    part = "test" if (data.split == "test").any() else "val"
    return np.asarray(data.split == part)


def _kind(path: str) -> Kind:
    place = Path(path)
    if (place / prepared.MANIFEST).is_file():
        return "prepared"
    if path == "watch" or place.suffix == ".npy":
        return "watch"
    if place.is_file() or any(place.glob("**/Dataset_1[AB]")) or place.name.startswith("Dataset_1"):
        return "classyglass"
    if place.is_dir():
        return "folder"
    raise EvaluationError(
        f"there is nothing at {path}; give a prepared folder, ClassyGlass's archive, a folder of recordings, or watch"
    )


def _labelled(data: Labelled, chosen: NDArray[np.bool_]) -> Labelled:
    """The chosen windows, and the labels that occur among them."""
    kept, places = np.unique(data.label[chosen], return_inverse=True)
    return Labelled(
        data.source, data.array, data.rows[chosen], places.astype(np.int64), data.user[chosen], data.split[chosen],
        tuple(data.labels[place] for place in kept), data.left_out,
    )  # fmt: skip
