"""What was measured, as a file: the data, the protocol, and each candidate's figures by number of shots.

    {"format": "primus-evaluation", "schema_version": 1, "data": {...}, "protocol": {...},
     "candidates": [{"name", "kind", "probe", "how", ..., "scores": {"5": {"accuracy", "accuracy_error", "macro_f1",
       "macro_f1_error", "units": [[accuracy, macro_f1], ...], "fitted_on", "confusion": [[...]]}}}],
     "differences": [{"of", "than", "scores": {"5": {"accuracy", "accuracy_error", ...}}}], "made": {...}}

Errors are standard errors of the mean over the units that the protocol names; null where there is one unit only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import EvaluationError
from primus_models.evaluation.protocol import ordered
from primus_models.evaluation.scores import Mean, mean
from primus_sdk.files import write_atomically

FORMAT, SCHEMA_VERSION = "primus-evaluation", 1


@dataclass(frozen=True, eq=False)
class Score:
    """Figures of one candidate at one number of shots.

    units: float (u, 2), accuracy and macro F1 of each trial or fold, 0..1. fitted_on: windows, on average.
    confusion: int (K, K), windows by [true, recognised], summed over all tests.
    """

    units: NDArray[np.float64]
    fitted_on: float
    confusion: NDArray[np.int64]

    @property
    def accuracy(self) -> Mean:
        """Over the units."""
        return mean(self.units[:, 0])

    @property
    def macro_f1(self) -> Mean:
        """Over the units."""
        return mean(self.units[:, 1])


@dataclass(frozen=True, eq=False)
class Entry:
    """A candidate with a probe, and its scores by shots.

    name: with `aligned`, unique in a file. warning: why its figures say less than they seem to; "" if nothing is known.
    """

    name: str
    kind: str
    probe: str
    how: str
    encoder_sha256: str
    aligned: float | None
    warning: str
    scores: dict[str, Score]

    @property
    def label(self) -> str:
        """The name, and the share of aligned windows where it is not all: unique in a file, unlike the name alone."""
        if self.aligned is None or self.aligned == 1:
            return self.name
        return f"{self.name}, {100 * self.aligned:g} % aligned"


@dataclass(frozen=True)
class DataSet:
    """What was measured on; labels: windows of each, by name."""

    source: str
    sha256: str
    users: tuple[str, ...]
    labels: dict[str, int]
    left_out: dict[str, int]


@dataclass(frozen=True, eq=False)
class Results:
    """All of one evaluation. protocol: how people were parted and shots drawn; made: by which versions."""

    data: DataSet
    protocol: dict[str, Any]
    entries: tuple[Entry, ...]
    made: dict[str, str]

    @property
    def shots(self) -> list[str]:
        """All that were measured, in order: "0", "1", ..., "all"."""
        return ordered([name for entry in self.entries for name in entry.scores])

    def difference(self, one: Entry, other: Entry, shots: str) -> tuple[Mean, Mean] | None:
        """By how much one's accuracy and macro F1 are above the other's, unit by unit; None where one lacks these."""
        if shots not in one.scores or shots not in other.scores:
            return None
        paired = one.scores[shots].units - other.scores[shots].units
        return mean(paired[:, 0]), mean(paired[:, 1])

    def to_json(self) -> dict[str, Any]:
        """The record that the file holds."""
        pairs = [(a, b) for place, a in enumerate(self.entries) for b in self.entries[place + 1 :]]
        differences = []
        for one, other in pairs:
            found = {shots: self.difference(one, other, shots) for shots in self.shots}
            figures = {shots: _figures(*both) for shots, both in found.items() if both is not None}
            if figures:
                differences.append({"of": one.label, "than": other.label, "scores": figures})
        return {
            "format": FORMAT, "schema_version": SCHEMA_VERSION, "data": asdict(self.data), "protocol": self.protocol,
            "candidates": [_entry(entry) for entry in self.entries], "differences": differences, "made": self.made,
        }  # fmt: skip


def save(results: Results, path: Path) -> None:
    """Write the file atomically.

    Raises:
        OutputError: it cannot be written.
    """
    write_atomically(path, (json.dumps(results.to_json(), indent=1, ensure_ascii=False) + "\n").encode())


def load(path: Path) -> Results:
    """Read a results file.

    Raises:
        EvaluationError: nothing is there, or it is no results file of this version.
    """
    try:
        record: Any = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise EvaluationError(f"there are no results at {path}; primus-evaluate run -o makes them") from error
    except (OSError, ValueError, RecursionError) as error:
        raise EvaluationError(
            f"{path} cannot be read as results ({error}); primus-evaluate run -o makes them"
        ) from error
    found = (record.get("format"), record.get("schema_version")) if isinstance(record, dict) else (None, None)
    if found[0] != FORMAT:
        raise EvaluationError(f"{path} holds no results of primus-evaluate (its format is {found[0]!r})")
    if found[1] != SCHEMA_VERSION:
        raise EvaluationError(
            f"{path} has schema {found[1]!r}; this version reads {SCHEMA_VERSION}: upgrade primus-imu"
        )
    try:
        data = record["data"]
        entries = tuple(_read_entry(entry, len(data["labels"])) for entry in record["candidates"])
        users, labels = tuple(map(str, data["users"])), {str(k): int(v) for k, v in data["labels"].items()}
        there = DataSet(str(data["source"]), str(data["sha256"]), users, labels, dict(data["left_out"]))
        return Results(there, dict(record["protocol"]), entries, dict(record["made"]))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise EvaluationError(f"{path} is damaged ({type(error).__name__}: {error}); measure again") from error


def _entry(entry: Entry) -> dict[str, Any]:
    scores = {
        shots: {
            **_figures(score.accuracy, score.macro_f1),
            "units": [[round(float(value), 6) for value in unit] for unit in score.units],
            "fitted_on": round(score.fitted_on, 1),
            "confusion": score.confusion.tolist(),
        }
        for shots, score in entry.scores.items()
    }
    return {**{key: value for key, value in vars(entry).items() if key != "scores"}, "scores": scores}


def _figures(accuracy: Mean, macro_f1: Mean) -> dict[str, float | None]:
    figures = {
        "accuracy": accuracy.value, "accuracy_error": accuracy.error,
        "macro_f1": macro_f1.value, "macro_f1_error": macro_f1.error,
    }  # fmt: skip
    return {key: None if value is None else round(value, 4) for key, value in figures.items()}


def _read_entry(record: dict[str, Any], labels: int) -> Entry:
    scores = {}
    for shots, score in record["scores"].items():
        units, confusion = np.array(score["units"], np.float64), np.array(score["confusion"], np.int64)
        if units.ndim != 2 or units.shape[1] != 2 or not len(units) or confusion.shape != (labels, labels):
            raise ValueError(f"scores of {record['name']} at {shots} shots are misshapen")
        scores[str(shots)] = Score(units, float(score["fitted_on"]), confusion)
    words = {key: str(record[key]) for key in ("name", "kind", "probe", "how", "encoder_sha256", "warning")}
    aligned = record["aligned"]
    return Entry(**words, aligned=None if aligned is None else float(aligned), scores=scores)
