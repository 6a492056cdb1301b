"""Cross-validation tests each window once, by a head that has seen neither it nor what overlaps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from primus_sdk import CalibrationError, Head, HeadError
from primus_sdk.calibration import validation
from primus_sdk.calibration.fit import fit_head
from primus_sdk.calibration.validation import Report, confusions_of, cross_validate

ENCODER = "ab" * 32
SECOND = 1_000_000_000


class Bouts:
    """Windows of 5 s, bout after bout, each a random walk of its own: neighbours resemble each other."""

    def __init__(self, bouts: Sequence[tuple[str, int]], hop: float = 1.0, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.labels = [label for label, windows in bouts for _ in range(windows)]
        self.groups = np.repeat(np.arange(len(bouts)), [windows for _, windows in bouts])
        centres = {label: rng.normal(size=512) for label in sorted(set(self.labels))}
        self.embeddings = np.array([centres[label] for label in self.labels]) + rng.normal(size=(len(self.labels), 512))
        place = np.concatenate([np.arange(windows) for _, windows in bouts])
        self.starts_ns = (self.groups * 10_000 * SECOND + place * round(hop * SECOND)).astype(np.int64)
        self.ends_ns = self.starts_ns + 5 * SECOND

    def report(self, order: np.ndarray | None = None, **options: Any) -> Report:
        order = np.arange(len(self.labels)) if order is None else order
        times = {"starts_ns": self.starts_ns[order], "ends_ns": self.ends_ns[order]}
        labels = [self.labels[i] for i in order]
        return cross_validate(self.embeddings[order], labels, self.groups[order], ENCODER, **(times | options))


def watch_folds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """From now on, what each fold was fitted on and tested on, as embeddings."""
    folds: list[tuple[np.ndarray, np.ndarray]] = []

    class Watched:
        def __init__(self, head: Head, fitted: np.ndarray) -> None:
            self.labels, self._head, self._fitted = head.labels, head, fitted

        def probabilities(self, embeddings: np.ndarray) -> np.ndarray:
            folds.append((self._fitted, embeddings))
            return self._head.probabilities(embeddings)

    def watched(embeddings: np.ndarray, *arguments: Any, **options: Any) -> Watched:
        return Watched(fit_head(embeddings, *arguments, **options), embeddings)

    monkeypatch.setattr(validation, "fit_head", watched)
    return folds


def places(bouts: Bouts, embeddings: np.ndarray) -> np.ndarray:
    """Which windows these embeddings are of; all are different."""
    known = {row.tobytes(): place for place, row in enumerate(bouts.embeddings)}
    return np.array([known[row.tobytes()] for row in embeddings], np.intp)


def test_any_number_of_folds_runs_as_many_as_there_can_be() -> None:
    random = np.random.default_rng(0)
    groups = [n // 5 for n in range(30)]
    labels = ["ab"[group % 2] for group in groups]
    report = cross_validate(random.normal(size=(30, 512)), labels, groups, ENCODER, folds=10**15)
    assert (report.windows, report.folds) == (30, 6)


def check_folds(bouts: Bouts, folds: list[tuple[np.ndarray, np.ndarray]], report: Report) -> None:
    tested = []
    left_out = 0
    counts = {label: len({g for g, other in zip(bouts.groups, bouts.labels, strict=True) if other == label})
              for label in set(bouts.labels)}  # fmt: skip
    for fitted, test in ((places(bouts, a), places(bouts, b)) for a, b in folds):
        tested += test.tolist()
        left_out += len(bouts.labels) - len(fitted) - len(test)
        assert {bouts.labels[i] for i in fitted} == set(bouts.labels), "each label is fitted in every fold"
        same = bouts.groups[fitted][:, np.newaxis] == bouts.groups[test]
        overlap = (bouts.starts_ns[fitted][:, np.newaxis] < bouts.ends_ns[test]) & (
            bouts.ends_ns[fitted][:, np.newaxis] > bouts.starts_ns[test]
        )
        assert not (same & overlap).any()
        cut = np.array([counts[bouts.labels[i]] == 1 for i in test])
        assert not same[:, ~cut].any(), "a bout is whole where its label has another"
    assert sorted(tested) == list(range(len(bouts.labels))), "each window is tested once"
    assert report.windows == len(bouts.labels)
    assert report.folds == len(folds)
    assert report.left_out == left_out


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_no_window_is_tested_by_a_head_that_saw_it_or_its_bout_or_an_overlapping_one(data: st.DataObject) -> None:
    hop = data.draw(st.sampled_from([0.5, 1.0, 2.5, 5.0]))
    least = round(3 * 5 / hop)
    made = []
    for label in "abc"[: data.draw(st.integers(2, 3))]:
        number = data.draw(st.integers(1, 4))
        shortest = least if number == 1 else 1
        made += [(label, data.draw(st.integers(shortest, shortest + 12))) for _ in range(number)]
    bouts = Bouts(data.draw(st.permutations(made)), hop)
    with pytest.MonkeyPatch.context() as patch:
        folds = watch_folds(patch)
        report = bouts.report(folds=data.draw(st.integers(2, 6)))
    check_folds(bouts, folds, report)


def test_people_are_kept_whole_with_all_their_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    bouts = Bouts([(label, 4) for _ in range(6) for label in "abc"])
    people = bouts.groups // 3
    folds = watch_folds(monkeypatch)
    report = cross_validate(bouts.embeddings, bouts.labels, people, ENCODER, folds=3)
    for fitted, test in folds:
        assert not set(people[places(bouts, fitted)]) & set(people[places(bouts, test)])
    assert (report.folds, report.windows, report.left_out) == (3, 72, 0)


def test_groups_may_be_names_and_need_no_times_where_each_label_has_two() -> None:
    bouts = Bouts([("a", 6), ("b", 6), ("a", 6), ("b", 6)])
    names = [f"bout {group}" for group in bouts.groups]
    report = cross_validate(bouts.embeddings, bouts.labels, names, ENCODER)
    assert (report.folds, report.left_out, report.windows) == (4, 0, 24)


def test_a_bout_cut_in_time_says_how_much_it_left_out() -> None:
    # 5 s windows every second: at each side of a cut the 4 that overlap the stretch; 2 stretches at the ends.
    report = Bouts([("a", 50), ("b", 50)]).report(folds=5)
    assert (report.folds, report.left_out) == (5, 2 * (2 * 4 + 3 * 8))


def test_separable_labels_are_all_recognised_and_noise_is_not() -> None:
    bouts = Bouts([(label, 10) for label in "abab"])
    assert bouts.report().accuracy == 1.0
    assert bouts.report().macro_f1 == 1.0
    bouts.embeddings = np.random.default_rng(1).normal(size=bouts.embeddings.shape)
    assert bouts.report().accuracy < 0.8


def test_the_report_is_the_same_again_and_in_any_order_of_the_windows_of_a_bout() -> None:
    bouts = Bouts([("a", 30), ("b", 30), ("b", 10)])
    bouts.embeddings = np.random.default_rng(1).normal(size=bouts.embeddings.shape)
    first = bouts.report()
    backwards = np.concatenate([np.flatnonzero(bouts.groups == group)[::-1] for group in range(3)])
    for other in (bouts.report(), bouts.report(backwards)):
        assert np.array_equal(other.confusions, first.confusions)
        assert other.left_out == first.left_out


def test_a_prior_s_labels_can_be_recognised_and_its_knowledge_counts() -> None:
    bouts = Bouts([(label, 10) for label in "abab"])
    first = fit_head(bouts.embeddings, bouts.labels, ENCODER)
    weight = np.concatenate([first.weight, first.weight[:1] + 1])
    prior = Head(("a", "b", "unseen"), weight, np.array([*first.bias, -1e3]), ENCODER)
    report = bouts.report(prior=prior)
    assert report.labels == ("a", "b", "unseen")
    assert report.confusions.shape == (3, 3)
    assert np.isnan(report.recall["unseen"])
    with pytest.raises(HeadError, match="calibrate anew"):
        bouts.report(prior=Head(("a", "b"), first.weight, first.bias, "cd" * 32))


@given(st.integers(0, 10**6), st.integers(2, 6))
def test_the_figures_are_those_of_the_confusions(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    labels = tuple(f"label {k}" for k in range(classes))
    truth = [labels[k] for k in rng.integers(0, classes - 1, 40)]  # the last never happens
    taken = [labels[k] for k in rng.integers(0, classes, 40)]
    report = Report(labels, confusions_of(labels, truth, taken), 2, 0)
    pairs = list(zip(truth, taken, strict=True))
    assert report.windows == 40
    assert report.accuracy == sum(a == b for a, b in pairs) / 40
    scores = []
    for label in labels:
        hits = sum(a == b == label for a, b in pairs)
        for figure, of in ((report.recall[label], truth.count(label)), (report.precision[label], taken.count(label))):
            assert figure == hits / of if of else np.isnan(figure)
        if label in truth:
            scores.append(2 * hits / (truth.count(label) + taken.count(label)))
    assert report.macro_f1 == pytest.approx(np.mean(scores))
    back = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert back["confusions"] == report.confusions.tolist()
    assert back["recall"][labels[-1]] is None
    assert back["labels"] == list(labels)
    assert {"accuracy", "macro_f1", "precision", "windows", "folds", "left_out"} <= set(back)


@pytest.mark.parametrize("hop", [0.5, 1.0, 2.5, 5.0])
def test_too_short_a_bout_says_how_long_it_must_be_and_that_is_true(hop: float) -> None:
    needed = round(2 * 5 / hop)
    message = rf"'a' has one bout, of {needed - 1} windows.*another bout.*15 s or more \({needed} windows"
    with pytest.raises(CalibrationError, match=message):
        Bouts([("a", needed - 1), ("b", 90)], hop).report()
    assert Bouts([("a", needed), ("b", 90)], hop).report().windows == needed + 90


def test_a_label_with_one_window_needs_another_bout() -> None:
    with pytest.raises(CalibrationError, match="'a' has one bout, of 1 windows: to cross-validate, record another"):
        Bouts([("a", 1), ("b", 90)]).report()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds is 1"),
        ({"folds": 2.5}, "folds is 2.5"),
        ({"starts_ns": None}, "'a' is in one group only.*starts_ns"),
        ({"starts_ns": np.zeros(3, np.int64)}, "whole numbers, one for each window"),
        ({"starts_ns": np.zeros(60)}, "whole numbers"),
        ({"ends_ns": np.zeros(60, np.int64)}, "each start before its end"),
        ({"c": 0.0}, "c is"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        Bouts([("a", 30), ("b", 30)]).report(**options)


@pytest.mark.parametrize(
    ("embeddings", "labels", "groups", "message"),
    [
        (np.empty((0, 512)), [], [], "no windows"),
        (np.ones((3, 512)), ["a", "b"], [1, 2, 3], "2 labels for 3 windows"),
        (np.ones((2, 512)), ["a", "b"], [1], "1 groups for 2 windows"),
        (np.ones((2, 511)), ["a", "b"], [1, 2], r"\(n, 512\)"),
        (np.ones(512), ["a", "b"], [1, 2], r"\(n, 512\)"),
        (np.ones((2, 512)), ["a", 3], [1, 2], "list of texts"),
        (np.full((2, 512), np.nan), ["a", "b"], [1, 2], "NaN"),
        (np.eye(4, 512), ["a"] * 4, [1, 1, 2, 2], "at least two labels"),
    ],
)
def test_what_cannot_be_validated_says_why(embeddings: Any, labels: Any, groups: Any, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        cross_validate(embeddings, labels, groups, ENCODER)
