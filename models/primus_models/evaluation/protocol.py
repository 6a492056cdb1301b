"""Who is learnt from, who is tested, and on how many labelled windows: the paper's few-shot protocol (section III).

Nobody is on both sides. Four ways of parting people ("user-based splits"):

    published   the data set's own split: shots from its train part, tested on its test part (val where there is none)
    users       each trial draws a share of the people to test on, and the shots from all others
    halves      each trial parts the people at random in two; each half is learnt from and the other tested (the figures
                of the model card)
    folds       every person is tested once: people are dealt into folds, and in each the shots are of all others

Shots are windows of each label; a label that has fewer gives what it has. In one trial, the shots of a smaller number
are among those of a larger one, and all candidates get the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import EvaluationError
from primus_models.evaluation.data import Labelled, has_split, tested

Mode = Literal["published", "users", "halves", "folds"]
MODES: tuple[Mode, ...] = ("published", "users", "halves", "folds")
SHOTS = (1, 5, 10, 50, 100, 500)
"""The paper's, besides all."""
ALL, NONE = "all", "0"
"""Names of two numbers of shots: every window there is, and none."""
_MOST_FOLDS = 10


@dataclass(frozen=True)
class Plan:
    """How to measure. shots: each 1 or more; everything: whether all windows, too. share: of the people tested."""

    mode: Mode
    shots: tuple[int, ...] = SHOTS
    everything: bool = True
    trials: int = 5
    seed: int = 0
    share: float = 1 / 3
    folds: int = 0

    @property
    def unit(self) -> str:
        """What standard errors are over."""
        return {
            "published": "trials (draws of shots; the people tested are the same)",
            "users": "trials (partings of the people)",
            "halves": "trials (partings of the people)",
            "folds": "folds of people",
        }[self.mode]


@dataclass(frozen=True, eq=False)
class Episode:
    """One fit and one test.

    unit: the trial, or fold, whose mean it goes into. shots: "0", "1", ... or "all". fitted, tested: places of windows.
    known: places of the labels that may be learnt, the only ones tested. seed: for what a probe draws.
    """

    unit: int
    shots: str
    fitted: NDArray[np.int64]
    tested: NDArray[np.int64]
    known: NDArray[np.int64]
    seed: tuple[int, int, int]

    @property
    def key(self) -> str:
        """Its identity among the episodes of the same data."""
        digest = hashlib.sha256(repr((self.unit, self.shots, self.seed)).encode())
        digest.update(self.fitted.tobytes() + b"|" + self.tested.tobytes())
        return digest.hexdigest()[:32]


def chosen_mode(data: Labelled) -> Mode:
    """The publishers' split where there is one, else the users', drawn."""
    return "published" if has_split(data) else "users"


def episodes(data: Labelled, plan: Plan) -> list[Episode]:
    """Every fit and test of the plan, the same for the same data and plan.

    Numbers of shots that no label has as many windows for are left out where "all" is measured, which is the same.

    Raises:
        EvaluationError: too few people, labels or windows; says what there is and what was needed.
    """
    if len(data.labels) < 2:
        raise EvaluationError(f"{data.source} has one label, {data.labels[0]!r}; two or more are needed to tell apart")
    parts = _parts(data, plan)
    # The same numbers of shots in every part, or means would be of other trials than their neighbours.
    most = min(_most(data, part.source) for part in parts)
    counts = {str(n): n for n in plan.shots if n < most or not plan.everything}
    return [episode for part in parts for episode in _episodes(data, plan, part, counts)]


@dataclass(frozen=True, eq=False)
class _Part:
    """One parting of the people: the unit and which part of it; windows (n,) to draw from and to test; what draws."""

    unit: int
    number: int
    source: NDArray[np.bool_]
    test: NDArray[np.bool_]
    generator: np.random.Generator


def _parts(data: Labelled, plan: Plan) -> list[_Part]:
    """Every parting of the plan."""
    if plan.mode == "published":
        if not has_split(data):
            raise EvaluationError(f"{data.source} has no split of its publishers; choose users, halves or folds")
        test, source = tested(data), data.split == "train"
        both = sorted(set(data.user[source].tolist()) & set(data.user[test].tolist()))
        if both:
            raise EvaluationError(
                f"the publishers' split of {data.source} has {both[0]!r} on both sides ({len(both)} people); "
                "choose users, halves or folds"
            )
        return [_Part(trial, 0, source, test, _generator(plan, trial)) for trial in range(plan.trials)]
    people = np.unique(data.user)
    if len(people) < 2:
        raise EvaluationError(f"{data.source} has {len(people)} person; two or more are needed to test on the unseen")
    if plan.mode == "folds":
        return _folds(data, plan, people)
    parts: list[_Part] = []
    for trial in range(plan.trials):
        generator = _generator(plan, trial)
        order = generator.permutation(people)
        if plan.mode == "halves":
            half = np.isin(data.user, order[: len(order) // 2])
            parts += [_Part(trial, 0, half, ~half, generator), _Part(trial, 1, ~half, half, generator)]
        else:
            count = min(max(1, round(plan.share * len(people))), len(people) - 1)
            test = np.isin(data.user, order[:count])
            parts.append(_Part(trial, 0, ~test, test, generator))
    return parts


def _folds(data: Labelled, plan: Plan, people: NDArray[np.str_]) -> list[_Part]:
    count = plan.folds or min(len(people), _MOST_FOLDS)
    if not 2 <= count <= len(people):
        raise EvaluationError(f"{count} folds of {len(people)} people cannot be made; choose 2 to {len(people)}")
    parts: list[_Part] = []
    for fold, out in enumerate(np.array_split(np.random.default_rng(plan.seed).permutation(people), count)):
        test = np.isin(data.user, out)
        for trial in range(plan.trials):
            parts.append(_Part(fold, trial, ~test, test, np.random.default_rng([plan.seed, fold, trial])))
    return parts


def _episodes(data: Labelled, plan: Plan, part: _Part, counts: dict[str, int]) -> list[Episode]:
    known = np.unique(data.label[part.source])
    windows = np.flatnonzero(part.test & np.isin(data.label, known)).astype(np.int64)
    if len(known) < 2 or not len(windows):
        raise EvaluationError(
            f"{data.source}: the people to learn from have {len(known)} labels, those to test on {len(windows)} "
            "windows of them; two labels and one window are needed: give more people, or another parting"
        )
    by_label = [part.generator.permutation(np.flatnonzero(part.source & (data.label == label))) for label in known]
    every = {NONE: 0} | counts | ({ALL: len(data)} if plan.everything else {})
    seed = (plan.seed, part.unit, part.number)
    return [
        Episode(part.unit, name, np.concatenate([own[:n] for own in by_label]).astype(np.int64), windows, known, seed)
        for name, n in every.items()
    ]


def _most(data: Labelled, source: NDArray[np.bool_]) -> int:
    """Windows of the commonest label among those to draw from."""
    return int(np.bincount(data.label[source]).max(initial=0))


def _generator(plan: Plan, trial: int) -> np.random.Generator:
    return np.random.default_rng(plan.seed + trial)


def ordered(shots: Sequence[str]) -> list[str]:
    """Numbers of shots in their order, "0" first and "all" last, each once."""
    return sorted(set(shots), key=lambda name: float("inf") if name == ALL else int(name))
