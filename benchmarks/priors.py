"""What a factory head as the prior of a user's calibration is worth, on people whom the encoder has never seen.

Of the held-out people of ClassyGlass (`primus_models.data.held_out`) each in turn is the user; the factory head is
fitted on up to 50 windows of each activity of the other four. A shot is a window; the shots of an activity follow each
other from a random moment, as when a user records 5, 25 or 50 s of it. Tested is every fifth window of the user's
(one a second; side by side so) that overlaps no shot.

- `known`: shots of each of the user's activities.
- `new`: the same, where three of them are unknown to the factory.
- `half`: shots of half of the activities, all tested: are the others forgotten?
- `one`: shots of one activity, unknown to the factory, all tested: is it learnt, and what does it cost the others?

Figures are means over the people and the draws of macro-F1 and of the log loss (nats; a label that a head lacks counts
as a probability of e^-20).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import primus_sdk
from primus_models.data import held_out
from primus_models.evaluation.scores import macro_f1
from primus_sdk import Head
from primus_sdk.calibration import fit as calibration
from primus_sdk.calibration.fit import DEFAULT_PRIOR_C, UNSEEN_SHOTS, fit_head
from primus_sdk.recordings import classyglass
from primus_sdk.recordings.windows import windows_of

CASES = ("known", "new", "half", "one")
SHOTS = (1, 5, 10)
FACTORY_SHOTS = 50
_EVEN = 1e9  # so many windows of each label at the start that those of the user change no share


@dataclass(frozen=True)
class Way:
    """A way to fit: from nothing or from the factory head, with what c and how many unseen shots."""

    name: str
    prior: bool
    c: float | None = None
    unseen: float = UNSEEN_SHOTS


@dataclass(frozen=True, eq=False)
class Windows:
    """Embeddings `(n, 512)` of windows one second apart, with label, person and times."""

    embeddings: np.ndarray
    labels: np.ndarray
    users: np.ndarray
    starts_ns: np.ndarray
    ends_ns: np.ndarray


WAYS = (
    Way("nothing, c .003", prior=False, c=0.003),
    Way("nothing, c .01", prior=False, c=0.01),
    *(Way(f"prior, c {c:g}", prior=True, c=c) for c in (0.003, 0.01, 0.03, 0.1)),
    *(Way(f"prior, unseen {unseen:g}", prior=True, unseen=unseen) for unseen in (0.03, 1.0)),
    Way("prior, shares kept", prior=True, unseen=_EVEN),
    Way(f"prior, defaults (c {DEFAULT_PRIOR_C:g}, unseen {UNSEEN_SHOTS:g})", prior=True),
)


def compare(data: Path, trials: int, as_json: bool) -> None:
    """Print macro-F1 and log loss of each way, case and number of shots."""
    windows = read(data)
    cells = [(case, shots) for case in CASES for shots in SHOTS]
    scores: dict[str, list[tuple[float, float]]] = {"factory head": []} | {way.name: [] for way in WAYS}
    for case, shots in cells:
        drawn = list(_draws(windows, case, shots, trials))
        scores["factory head"].append(_mean([_score(factory, windows, test) for factory, _, test in drawn]))
        for way in WAYS:
            figures = [_score(_fitted(way, windows, taken, factory), windows, test) for factory, taken, test in drawn]
            scores[way.name].append(_mean(figures))
    if as_json:
        records = {
            name: {f"{case} {shots}": {"macro_f1": f1, "log_loss": loss}
                   for (case, shots), (f1, loss) in zip(cells, row, strict=True)}
            for name, row in scores.items()
        }  # fmt: skip
        print(json.dumps(records, indent=2))
        return
    width = max(map(len, scores))
    print(f"{'macro-F1 / log loss, by shots':{width}s} | " + " | ".join(f"{case:>5s} {n:>2d}   " for case, n in cells))
    for name, row in scores.items():
        print(f"{name:{width}s} | " + " | ".join(f"{f1:.3f} {loss:5.2f}" for f1, loss in row))


def read(data: Path) -> Windows:
    """The windows of the held-out people."""
    recordings = list(classyglass.read(data))
    out = held_out(recording.user for recording in recordings)
    embeddings, labels, users, starts, ends = [], [], [], [], []
    with primus_sdk.load() as recogniser:
        for recording in recordings:
            windows = list(windows_of(recording, 1.0)) if recording.user in out else []
            if windows:
                embeddings.append(recogniser.embed(np.stack([window.imu for window in windows])))
            labels += [recording.label] * len(windows)
            users += [recording.user] * len(windows)
            starts += [window.start_ns for window in windows]
            ends += [window.end_ns for window in windows]
    return Windows(*map(np.array, (np.concatenate(embeddings), labels, users, starts, ends)))


def _draws(windows: Windows, case: str, shots: int, trials: int) -> Iterator[tuple[Head, np.ndarray, np.ndarray]]:
    """Factory head, the user's shots and the windows to test on, by place."""
    for user in sorted(set(windows.users), key=int):
        activities = np.unique(windows.labels[windows.users == user])
        for trial in range(trials):
            generator = np.random.default_rng([int(user), trial, shots])
            missing = generator.choice(activities, {"new": 3, "one": 1}.get(case, 0), replace=False)
            shown = {"half": generator.permutation(activities)[: len(activities) // 2], "one": missing}
            factory = _factory(windows, user, missing, generator)
            yield factory, *_shots(windows, user, shots, set(shown.get(case, activities)), generator)


def _factory(windows: Windows, user: str, missing: np.ndarray, generator: np.random.Generator) -> Head:
    chosen = []
    for label in np.setdiff1d(windows.labels, missing):
        places = np.flatnonzero((windows.users != user) & (windows.labels == label))[::5]
        chosen.append(generator.permutation(places)[:FACTORY_SHOTS])
    places = np.concatenate(chosen)
    return fit_head(windows.embeddings[places], windows.labels[places].tolist(), "any")


def _shots(
    windows: Windows, user: str, shots: int, shown: set[str], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    taken, test = [], []
    for label in np.unique(windows.labels[windows.users == user]):
        places = np.flatnonzero((windows.users == user) & (windows.labels == label))
        if label in shown:
            # At least ten windows stay to be tested; who did an activity too briefly for that begins at its start.
            first = int(generator.integers(max(1, len(places) - 5 * shots - 10)))
            picked = places[first : first + 5 * shots : 5]
            taken.append(picked)
            clear = windows.ends_ns[places] <= windows.starts_ns[picked[0]]
            places = places[clear | (windows.starts_ns[places] >= windows.ends_ns[picked[-1]])]
        test.append(places[::5])
    return np.concatenate(taken), np.concatenate(test)


def _fitted(way: Way, windows: Windows, taken: np.ndarray, factory: Head) -> Head:
    labels = windows.labels[taken].tolist()
    if not way.prior and len(set(labels)) < 2:
        return factory  # of one activity alone nothing can be fitted
    calibration.UNSEEN_SHOTS = way.unseen
    try:
        return fit_head(windows.embeddings[taken], labels, "any", c=way.c, prior=factory if way.prior else None)
    finally:
        calibration.UNSEEN_SHOTS = UNSEEN_SHOTS


def _score(head: Head, windows: Windows, test: np.ndarray) -> tuple[float, float]:
    """Macro-F1 and log loss."""
    truth, probabilities = windows.labels[test], head.probabilities(windows.embeddings[test])
    true = np.array([list(head.labels).index(label) if label in head.labels else -1 for label in truth])
    given = np.where(true < 0, 0, probabilities[np.arange(len(test)), true])
    loss = float(-np.log(np.maximum(given, np.exp(-20))).mean())
    return macro_f1(truth, np.array(head.labels)[probabilities.argmax(axis=1)]), loss


def _mean(figures: list[tuple[float, float]]) -> tuple[float, float]:
    f1, loss = np.mean(figures, axis=0)
    return float(f1), float(loss)
