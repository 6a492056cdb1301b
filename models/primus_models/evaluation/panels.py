"""Results files arranged for pictures: one panel a data set, in it the candidates of all files that measured it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from primus_models.errors import EvaluationError
from primus_models.evaluation.protocol import ALL, NONE, ordered
from primus_models.evaluation.results import DataSet, Entry, Results

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#882255")
"""Told apart by all kinds of colour vision (Okabe and Ito; two of Tol); markers differ too."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
GREY = "#8a8f98"
_MOST = len(COLOURS)


@dataclass(frozen=True, eq=False)
class Panel:
    """A data set and what was measured on it; protocol: in words."""

    data: DataSet
    protocol: str
    entries: tuple[Entry, ...]

    @property
    def shots(self) -> list[str]:
        """All numbers of shots but none, in order."""
        return [name for name in ordered([s for entry in self.entries for s in entry.scores]) if name != NONE]


def chosen(found: Sequence[Results], names: Sequence[str]) -> list[Results]:
    """The results with the candidates of these names only, in this order; with all where no name is given.

    Raises:
        EvaluationError: a name is in none of the files.
    """
    if not names:
        return list(found)
    there = {entry.name for results in found for entry in results.entries}
    missing = [name for name in names if name not in there]
    if missing:
        raise EvaluationError(f"no results are of {missing[0]!r}; there are {', '.join(sorted(there))}")
    kept = []
    for results in found:
        mine = [entry for name in names for entry in results.entries if entry.name == name]
        if mine:
            kept.append(replace(results, entries=tuple(mine)))
    return kept


def panels(found: Sequence[Results]) -> list[Panel]:
    """One panel for each data set and way of measuring, in the files' order.

    What several files call alike is told apart by a number.
    """
    groups: dict[tuple[str, str], list[Results]] = {}
    for results in found:
        protocol = " ".join(
            f"{key}={results.protocol.get(key)}" for key in ("mode", "trials", "seed", "share", "folds")
        )
        groups.setdefault((results.data.sha256, protocol), []).append(results)
    made = []
    for group in groups.values():
        entries: list[Entry] = []
        taken: dict[str, int] = {}
        for entry in (entry for results in group for entry in results.entries):
            if any(_same(entry, other) for other in entries):
                continue
            # A name over several shares of aligned windows is a curve of Fig. 6, and no clash.
            key = f"{entry.name} {entry.aligned}"
            taken[key] = taken.get(key, 0) + 1
            entries.append(entry if taken[key] == 1 else replace(entry, name=f"{entry.name} ({taken[key]})"))
        plan = group[0].protocol
        folds = f" in each of {plan['units']} folds of people" if plan.get("mode") == "folds" else ""
        made.append(Panel(group[0].data, f"{plan.get('trials', '?')} trials{folds}", tuple(entries)))
    return made


def styles(found: Sequence[Panel]) -> dict[str, tuple[str, str]]:
    """Colour and marker by a candidate's name, the same in all panels; guessing is grey."""
    names = dict.fromkeys(entry.name for panel in found for entry in panel.entries if entry.kind != "guessing")
    made = {name: (COLOURS[place % _MOST], MARKERS[place % _MOST]) for place, name in enumerate(names)}
    grey = {entry.name: (GREY, "") for panel in found for entry in panel.entries if entry.kind == "guessing"}
    return made | grey


def most_shots(found: Sequence[Panel], wanted: str | None) -> str:
    """The number of shots asked for, else the largest that every fitted candidate was measured at.

    Raises:
        EvaluationError: it was not measured, or there is none that all share.
    """
    entries = [entry for panel in found for entry in panel.entries]
    if wanted is not None:
        there = ordered([s for entry in entries for s in entry.scores])
        if wanted not in there:
            raise EvaluationError(f"nothing was measured at {wanted} shots; there are {', '.join(there)}")
        return wanted
    fitted = [entry for entry in entries if set(entry.scores) - {NONE}]
    if not fitted:
        raise EvaluationError("nothing in these results was fitted on shots; say --shots 0, or measure with --shots")
    shared = set.intersection(*(set(entry.scores) - {NONE} for entry in fitted))
    if not shared:
        raise EvaluationError("these results share no number of shots; say one with --shots")
    numbers = ordered(list(shared))
    return next((name for name in reversed(numbers) if name != ALL), numbers[-1])


def _same(one: Entry, other: Entry) -> bool:
    same = (one.name, one.kind, one.probe, one.how, one.encoder_sha256) == (
        other.name, other.kind, other.probe, other.how, other.encoder_sha256,
    )  # fmt: skip
    return same and set(one.scores) == set(other.scores)
