"""The measuring: each candidate's features once, then every probe on every episode, the same for all."""

from __future__ import annotations

import importlib.metadata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from primus_models.errors import EvaluationError
from primus_models.evaluation.cache import Cache
from primus_models.evaluation.candidates import About, Candidate
from primus_models.evaluation.data import BLOCK, Labelled
from primus_models.evaluation.probes import Probe, checked_features
from primus_models.evaluation.protocol import NONE, Episode, Plan, episodes
from primus_models.evaluation.results import DataSet, Entry, Results, Score
from primus_models.evaluation.scores import Outcome, outcome
from primus_models.graph import Array

Report = Callable[[str, int, int], None]
"""Told what is being done, how many steps of it are done, and how many there are."""


@dataclass(frozen=True, eq=False)
class Contestant:
    """A candidate and the probes that read its features."""

    candidate: Candidate
    probes: tuple[Probe, ...]


def measure(
    data: Labelled,
    contestants: Sequence[Contestant],
    plan: Plan,
    cache: Cache | None = None,
    report: Report = lambda what, done, total: None,
) -> Results:
    """Measure all contestants on the same episodes.

    Raises:
        EvaluationError: too few people, labels or windows, two candidates of one name, or features that are no numbers.
    """
    names = _names(contestants)
    planned = episodes(data, plan)
    cache = cache or Cache(None, "")
    entries: list[Entry] = []
    for contestant in contestants:
        about = contestant.candidate.about
        features = _features(contestant.candidate, data, cache, report)
        for probe in contestant.probes:
            mine = [episode for episode in planned if (episode.shots == NONE) != probe.needs_shots]
            name = names[about.name, probe.name]
            outcomes = _outcomes(name, contestant.candidate, probe, features, data, mine, cache, report)
            scores = _scores(mine, outcomes)
            warning = _warning(contestant.candidate, data)
            entries.append(
                Entry(name, about.kind, probe.name, about.how, about.encoder_sha256, about.aligned, warning, scores)
            )
    counts = Counter(data.label.tolist())
    there = DataSet(
        data.source, data.sha256(), tuple(data.users),
        {label: counts[place] for place, label in enumerate(data.labels)}, data.left_out,
    )  # fmt: skip
    return Results(there, _protocol(plan, planned), tuple(entries), _made())


def _names(contestants: Sequence[Contestant]) -> dict[tuple[str, str], str]:
    """Each entry's name: the candidate's, and the probe's where it has several."""
    abouts = [one.candidate.about for one in contestants]
    counts = Counter((about.name, 1.0 if about.aligned is None else about.aligned) for about in abouts)
    twice = [name for (name, _), count in counts.items() if count > 1]
    if twice:
        raise EvaluationError(f"two candidates are called {twice[0]!r}: give one a name, as NAME=PATH")
    return {
        (c.candidate.about.name, probe.name): (
            c.candidate.about.name if len(c.probes) == 1 else f"{c.candidate.about.name}, {probe.name}"
        )
        for c in contestants
        for probe in c.probes
    }


def _features(candidate: Candidate, data: Labelled, cache: Cache, report: Report) -> Array:
    what, total = f"embedding: {candidate.about.name}", -(-len(data) // BLOCK)
    blocks = []
    report(what, 0, total)
    for block in cache.blocks(candidate, data):
        blocks.append(checked_features(block, candidate.about.name))
        report(what, len(blocks), total)
    return np.concatenate(blocks)


def _outcomes(
    name: str, candidate: Candidate, probe: Probe, features: Array, data: Labelled, planned: list[Episode],
    cache: Cache, report: Report,
) -> list[Outcome]:  # fmt: skip
    known = cache.outcomes(candidate.about.identity, probe.identity)
    found: list[Outcome] = []
    try:
        for episode in planned:
            report(f"probing: {name}", len(found), len(planned))
            result = known.get(episode.key)
            if result is None:
                recognised = probe.recognise(
                    episode, features[episode.fitted], data.label[episode.fitted], features[episode.tested]
                )
                truth = data.label[episode.tested]
                result = outcome(truth, recognised, len(data.labels), len(episode.fitted))
                known.put(episode.key, result)
            found.append(result)
    finally:
        known.save()
    report(f"probing: {name}", len(found), len(planned))
    return found


def _scores(planned: list[Episode], outcomes: list[Outcome]) -> dict[str, Score]:
    by_shots: dict[str, dict[int, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for episode, result in zip(planned, outcomes, strict=True):
        by_shots[episode.shots][episode.unit].append(result)
    scores = {}
    for shots, units in by_shots.items():
        figures = np.array([np.mean([(o.accuracy, o.macro_f1) for o in group], axis=0) for group in units.values()])
        every = [o for group in units.values() for o in group]
        confusion = np.sum([o.confusion for o in every], axis=0)
        scores[shots] = Score(figures, float(np.mean([o.fitted_on for o in every])), confusion)
    return scores


def trained_on(about: About, data: Labelled) -> frozenset[str]:
    """Those of the people whom it learnt from, by its file; names mean something within a data set only."""
    said = str(about.provenance.get("data", "")).lower()
    return about.trained_on & frozenset(data.users) if data.source.lower() in said else frozenset()


def _warning(candidate: Candidate, data: Labelled) -> str:
    """Whether it learnt from the people that it is measured on."""
    both = trained_on(candidate.about, data)
    if not both:
        return ""
    return f"it was trained on {len(both)} of the {len(data.users)} people: its figures say nothing of new people"


def _protocol(plan: Plan, planned: list[Episode]) -> dict[str, Any]:
    tested = [len(episode.tested) for episode in planned if episode.shots == NONE]
    return asdict(plan) | {
        "shots": list(plan.shots),
        "unit": plan.unit,
        "units": len({episode.unit for episode in planned}),
        "tests": len(tested),
        "tested_windows": round(float(np.mean(tested)), 1),
    }


def _made() -> dict[str, str]:
    try:
        version = importlib.metadata.version("primus-imu")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    return {"primus-imu": version, "numpy": np.__version__}
