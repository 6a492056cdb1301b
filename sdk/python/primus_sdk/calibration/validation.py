"""How well a head will recognise, before it is taken into use: cross-validation over a user's own bouts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.calibration.fit import checked, fit_head
from primus_sdk.errors import CalibrationError, HeadError
from primus_sdk.heads.head import Head

Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Report:
    """Which label was taken for which.

    labels: K names, sorted. confusions: `(K, K)` int64, rows by the true label, columns by the recognised one.
    folds: how many heads were fitted. left_out: how many windows, over all folds, were neither fitted nor tested on
    since they overlap a tested one.
    """

    labels: tuple[str, ...]
    confusions: NDArray[np.int64]
    folds: int
    left_out: int

    @property
    def windows(self) -> int:
        """How many windows were tested."""
        return int(self.confusions.sum())

    @property
    def accuracy(self) -> float:
        """Share of the windows that were recognised, 0..1."""
        return float(np.trace(self.confusions)) / self.windows

    @cached_property
    def recall(self) -> dict[str, float]:
        """By label, the share of its windows that were recognised; NaN for a label without windows."""
        return self._shares(self.confusions.sum(axis=1))

    @cached_property
    def precision(self) -> dict[str, float]:
        """By label, the share of what was taken for it that was it; NaN for a label that nothing was taken for."""
        return self._shares(self.confusions.sum(axis=0))

    @property
    def macro_f1(self) -> float:
        """The mean over the labels that have windows of each one's F1, 2 hits / (windows + recognised as it), 0..1."""
        true, taken = self.confusions.sum(axis=1), self.confusions.sum(axis=0)
        f1 = 2 * np.diag(self.confusions) / np.maximum(true + taken, 1)
        return float(f1[true > 0].mean())

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON holds it; null where a share is of nothing."""

        def plain(shares: dict[str, float]) -> dict[str, float | None]:
            return {label: None if math.isnan(share) else share for label, share in shares.items()}

        return {
            "labels": list(self.labels),
            "confusions": self.confusions.tolist(),
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "recall": plain(self.recall),
            "precision": plain(self.precision),
            "windows": self.windows,
            "folds": self.folds,
            "left_out": self.left_out,
        }

    def _shares(self, of: NDArray[np.int64]) -> dict[str, float]:
        hits = np.diag(self.confusions)
        return {label: int(hits[k]) / int(of[k]) if of[k] else math.nan for k, label in enumerate(self.labels)}


def confusions_of(head_labels: Sequence[str], truth: Sequence[str], recognised: Sequence[str]) -> NDArray[np.int64]:
    """How often each true label (row) was recognised as each label (column), `(K, K)` in the order of `head_labels`."""
    place = {label: k for k, label in enumerate(head_labels)}
    counted = np.zeros((len(place), len(place)), np.int64)
    np.add.at(counted, ([place[label] for label in truth], [place[label] for label in recognised]), 1)
    return counted


def cross_validate(
    embeddings: ArrayLike,
    labels: Sequence[str],
    groups: Sequence[Hashable] | NDArray[Any],
    encoder_sha256: str,
    *,
    folds: int = 5,
    c: float | None = None,
    prior: Head | None = None,
    starts_ns: ArrayLike | None = None,
    ends_ns: ArrayLike | None = None,
) -> Report:
    """Fit on all but one fold and test on that one, so that each window is tested once, by a head that has not seen it.

    A group is what must not be on both sides: a bout, that is the windows of one `begin(label)` .. `end()`, which
    overlap and resemble each other; or a recording; or a person, for how well others than these will be recognised.

    - Groups are kept whole. They go to the folds by size, the largest first, each to the fold that has the smallest
      share of the windows of its labels so far.
    - Only a label that a single group has is cut, in time, into `folds` stretches of as many windows each, or fewer
      where otherwise one would leave nothing to fit on. When a stretch is tested, those windows of the label that
      overlap it in time are left out of the fit. Such a figure flatters: it is of the same bout, a little later.

    The folds follow from the arguments alone.

    Args:
        embeddings: `(n, 512)`.
        labels: n texts.
        groups: n numbers or names, each window's group.
        encoder_sha256: the encoder that made the embeddings.
        folds: 2 or more; fewer are run where there are fewer groups and stretches.
        c: as of `calibration.fit_head`.
        prior: as of `calibration.fit_head`; its labels can be recognised as well. It must not have been fitted on
            these windows.
        starts_ns: `(n,)` int64, when each window starts; needed where a single group has a label.
        ends_ns: `(n,)` int64, when each window ends.

    Raises:
        CalibrationError: too few windows or groups of a label, with how many are needed; or as `fit_head`.
        HeadError: the prior is of another encoder.
    """
    x = checked(embeddings, labels)
    if prior is not None:
        arguments.instance(prior, Head, "the prior", HeadError)
    names = tuple(sorted({*labels, *(prior.labels if prior is not None else ())}))
    if not isinstance(groups, Sequence) and not (isinstance(groups, np.ndarray) and groups.ndim == 1):
        raise arguments.wrong(groups, "groups", "a list, or an array (n,), of numbers or names", CalibrationError)
    if len(groups) != len(x):
        raise CalibrationError(f"{len(groups)} groups for {len(x)} windows; expected one group for each window")
    folds = arguments.whole(folds, "folds", "a whole number, 2 or more", CalibrationError, 2)
    folds = min(folds, max(2, len(x)))  # more would only be empty
    tested, banned = _folds(labels, _places(groups), _times(starts_ns, ends_ns, len(x)), folds)
    confusions = np.zeros((len(names), len(names)), np.int64)
    for test, out in zip(tested, banned, strict=True):
        if len(test):
            fitted = np.setdiff1d(np.arange(len(x)), np.concatenate([test, out]))
            head = fit_head(x[fitted], [labels[i] for i in fitted], encoder_sha256, c=c, prior=prior)
            best = head.probabilities(x[test]).argmax(axis=1)
            confusions += confusions_of(names, [labels[i] for i in test], [head.labels[k] for k in best])
    if not confusions.any():
        raise CalibrationError("there are no windows; record two bouts of each label")
    return Report(names, confusions, sum(len(test) > 0 for test in tested), sum(map(len, banned)))


def _folds(
    labels: Sequence[str], by_group: dict[Hashable, list[int]], times: NDArray[np.int64] | None, folds: int
) -> tuple[list[Places], list[Places]]:
    """The windows that each fold tests, and those besides that its fit leaves out."""
    held = {group: Counter(labels[place] for place in places) for group, places in by_group.items()}
    spread = Counter(label for counts in held.values() for label in counts)
    alone = {label for label, groups_of_it in spread.items() if groups_of_it == 1}
    tested: list[list[Places]] = [[] for _ in range(folds)]
    banned: list[list[Places]] = [[] for _ in range(folds)]
    shared = {group: Counter({k: n for k, n in counts.items() if k not in alone}) for group, counts in held.items()}
    for group, fold in _assigned({group: counts for group, counts in shared.items() if counts}, folds).items():
        tested[fold].append(np.array([place for place in by_group[group] if labels[place] not in alone]))
    for label in sorted(alone):
        only = np.array([place for place, other in enumerate(labels) if other == label])
        for fold, (stretch, overlapping) in enumerate(_cut(label, only, times, folds)):
            tested[fold].append(stretch)
            banned[fold].append(overlapping)
    nothing = np.empty(0, np.intp)
    return [np.concatenate([nothing, *parts]) for parts in tested], [np.concatenate([nothing, *out]) for out in banned]


def _times(starts_ns: ArrayLike | None, ends_ns: ArrayLike | None, windows: int) -> NDArray[np.int64] | None:
    """Starts and ends, `(2, n)`."""
    if starts_ns is None or ends_ns is None:
        return None
    starts, ends = np.asarray(starts_ns), np.asarray(ends_ns)
    whole = starts.shape == ends.shape == (windows,) and all(part.dtype.kind in "iu" for part in (starts, ends))
    if not (windows == 0 or (whole and (starts < ends).all())):
        raise CalibrationError(
            "starts_ns and ends_ns are whole numbers, one for each window, each start before its end"
        )
    return np.array([starts, ends], np.int64)


def _places(groups: Sequence[Hashable] | NDArray[Any]) -> dict[Hashable, list[int]]:
    """The places of each group's windows, groups in the order in which they come."""
    places: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups.tolist() if isinstance(groups, np.ndarray) else groups):
        if not isinstance(group, Hashable):
            raise arguments.wrong(group, "a group", "a number or a name", CalibrationError)
        places.setdefault(group, []).append(place)
    return places


def _assigned(held: dict[Hashable, Counter[str]], folds: int) -> dict[Hashable, int]:
    """A fold for each group, by how many windows of which labels it holds; no label wholly in one fold."""
    total: Counter[str] = Counter()
    waiting: Counter[str] = Counter()  # groups of a label without a fold yet
    for counts in held.values():
        total.update(counts)
        waiting.update(counts.keys())
    inside: list[Counter[str]] = [Counter() for _ in range(folds)]
    assigned = {}
    for group in sorted(held, key=lambda group: held[group].total(), reverse=True):
        counts = held[group]
        waiting.subtract(counts.keys())

        def cost(fold: int, counts: Counter[str] = counts) -> tuple[bool, float, int]:
            had = inside[fold]
            whole = any(not waiting[label] and had[label] + counts[label] == total[label] for label in counts)
            return whole, sum(n * had[label] / total[label] for label, n in counts.items()), had.total()

        best = min(range(folds), key=cost)
        if cost(best)[0]:
            raise CalibrationError(
                f"{folds} folds leave nothing of a label to fit on; take as many as there are groups"
            )
        inside[best].update(counts)
        assigned[group] = best
    return assigned


def _cut(label: str, bout: Places, times: NDArray[np.int64] | None, folds: int) -> list[tuple[Places, Places]]:
    """The windows of a label in stretches of time, each with the windows outside of it that overlap it."""
    if times is None:
        raise CalibrationError(
            f"{label!r} is in one group only: record another, or give starts_ns and ends_ns to cut it in time by"
        )
    bout = bout[np.lexsort(times[::-1, bout])]
    starts, ends = times[:, bout]
    for stretches in range(min(folds, len(bout)), 1, -1):
        cut = []
        for part in np.array_split(np.arange(len(bout)), stretches):
            outside = np.setdiff1d(np.arange(len(bout)), part)
            clear = (ends[outside] <= starts[part].min()) | (starts[outside] >= ends[part].max())
            if not clear.any():
                break
            cut.append((bout[part], bout[outside[~clear]]))
        else:
            return cut
    length = float(np.median(ends - starts))
    step = max(float(np.median(np.diff(starts))), 1.0) if len(bout) > 1 else length
    needed = 2 * math.ceil(length / step)  # so that a half is left that the other does not touch
    seconds = math.ceil(max(3 * length, length + (needed - 1) * step) / 1e9)
    raise CalibrationError(
        f"{label!r} has one bout, of {len(bout)} windows: to cross-validate, record another bout of it, "
        f"or one of {seconds} s or more ({needed} windows at this hop)"
    )
