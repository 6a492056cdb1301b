"""What a killed run goes on from: features block by block, and what each probe recognised, in one folder.

    features/KEY/00000.npy   float32 (b, d), a block of windows; KEY is of the data and the candidate
    outcomes/KEY.json        figures by episode; KEY is of the data, the candidate and the probe

Every file is written whole or not at all; one that cannot be read is made anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from primus_models.errors import EvaluationError
from primus_models.evaluation.candidates import Candidate
from primus_models.evaluation.data import BLOCK, Labelled
from primus_models.evaluation.scores import Outcome
from primus_models.graph import Array
from primus_sdk.files import write_atomically

_VERSION = "1"
"""Of what is computed from the same inputs: counted up where figures change."""
_EVERY_S = 1.0


class Cache:
    """Features and outcomes of one data set; without a folder nothing is kept."""

    def __init__(self, folder: Path | None, data_sha256: str) -> None:
        """Make the folder.

        Raises:
            EvaluationError: it cannot be made.
        """
        self._folder, self._data = folder, data_sha256
        if folder is not None:
            try:
                for part in ("features", "outcomes"):
                    (folder / part).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise EvaluationError(f"cannot make the cache {folder} ({error.strerror}); choose another") from error

    def blocks(self, candidate: Candidate, data: Labelled) -> Iterator[Array]:
        """A candidate's features, block by block: those that are kept are read, the others computed and kept."""
        folder = None
        if self._folder is not None:
            folder = self._folder / "features" / self._key(candidate.about.identity)
            folder.mkdir(exist_ok=True)
        for number, start in enumerate(range(0, len(data), BLOCK)):
            rows = data.rows[start : start + BLOCK]
            file = None if folder is None else folder / f"{number:05d}.npy"
            features = None if file is None else _read(file, len(rows))
            if features is None:
                features = candidate.features(np.ascontiguousarray(data.array[rows], np.float32))
                if file is not None:
                    content = io.BytesIO()
                    np.save(content, features, allow_pickle=False)
                    write_atomically(file, content.getvalue())
            yield features

    def outcomes(self, *identity: str) -> Outcomes:
        """What is known of a candidate and a probe."""
        file = None if self._folder is None else self._folder / "outcomes" / f"{self._key(*identity)}.json"
        return Outcomes(file)

    def _key(self, *identity: str) -> str:
        return hashlib.sha256("\0".join((_VERSION, self._data, *identity)).encode()).hexdigest()[:32]


class Outcomes:
    """Outcomes by an episode's key, written at most once a second, and at the end."""

    def __init__(self, file: Path | None) -> None:
        """Read what is there."""
        self._file, self._known, self._saved = file, _outcomes(file), time.monotonic()
        self._new = False

    def get(self, key: str) -> Outcome | None:
        """The outcome of an episode, where it is known."""
        return self._known.get(key)

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome."""
        self._known[key], self._new = outcome, True
        if time.monotonic() - self._saved >= _EVERY_S:
            self.save()

    def save(self) -> None:
        """Write what is new.

        Raises:
            OutputError: the file cannot be written.
        """
        self._saved = time.monotonic()
        if self._file is not None and self._new:
            record = {
                key: [o.accuracy, o.macro_f1, o.fitted_on, o.confusion.tolist()] for key, o in self._known.items()
            }
            write_atomically(self._file, json.dumps(record, separators=(",", ":")).encode())
            self._new = False


def _read(file: Path, count: int) -> Array | None:
    try:
        features = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = features.ndim == 2 and len(features) == count and features.dtype == np.float32
    return features if fits else None


def _outcomes(file: Path | None) -> dict[str, Outcome]:
    if file is None or not file.is_file():
        return {}
    try:
        return {
            key: Outcome(float(accuracy), float(macro_f1), np.array(confusion, np.int64), int(fitted_on))
            for key, (accuracy, macro_f1, fitted_on, confusion) in json.loads(file.read_text("utf-8")).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
