"""How well a head does on what it was not fitted on: other people where there are several, else other recordings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from primus_sdk.calibration.fit import fit_head
from primus_sdk.calibration.validation import cross_validate
from primus_sdk.commands._labelled import Labelled
from primus_sdk.commands._scores import Scores, scores
from primus_sdk.heads.head import Head


@dataclass(frozen=True)
class Validated:
    """The scores, how many heads were fitted for them, and what no fold was cut through: people or recordings."""

    scores: Scores
    folds: int
    by: str


def validated(windows: Labelled, encoder_sha256: str, folds: int, c: float | None, prior: Head | None) -> Validated:
    """Cross-validate: by people where everything was done by two or more, else by recordings.

    Raises:
        CalibrationError: there is too little to fit on and to test on.
        HeadError: the prior is of another encoder.
    """
    people: dict[str, set[str]] = {}
    for label, user in zip(windows.labels, windows.users, strict=True):
        people.setdefault(label, set()).add(user)
    if all(len(users) > 1 for users in people.values()):
        return _by_people(windows, encoder_sha256, folds, c, prior)
    starts, ends = windows.times_ns.T
    report = cross_validate(
        windows.embeddings, windows.labels, windows.recordings, encoder_sha256,
        folds=folds, c=c, prior=prior, starts_ns=starts, ends_ns=ends,
    )  # fmt: skip
    return Validated(Scores(report.labels, report.confusions), report.folds, "recordings")


def _by_people(windows: Labelled, encoder_sha256: str, folds: int, c: float | None, prior: Head | None) -> Validated:
    """Each person is recognised by a head that has seen nothing of them.

    People go to the folds by their number of windows, the most first, each to the fold that has the fewest. Where all
    who did something are in one fold, its windows count as wrong there.
    """
    sizes = [0] * min(folds, len(set(windows.users)))
    fold_of: dict[str, int] = {}
    for user, count in sorted(Counter(windows.users).items(), key=lambda item: (-item[1], item[0])):
        fold_of[user] = sizes.index(min(sizes))
        sizes[fold_of[user]] += count
    folds_of_windows = np.array([fold_of[user] for user in windows.users])
    labels = np.array(windows.labels)
    recognised = np.empty_like(labels, dtype=object)
    for fold in range(len(sizes)):
        test = folds_of_windows == fold
        head = fit_head(windows.embeddings[~test], labels[~test].tolist(), encoder_sha256, c=c, prior=prior)
        best = head.probabilities(windows.embeddings[test]).argmax(axis=1)
        recognised[test] = [head.labels[place] for place in best]
    return Validated(scores(windows.labels, recognised.tolist()), len(sizes), "people")
