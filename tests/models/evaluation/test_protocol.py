from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from primus_models.errors import EvaluationError
from primus_models.evaluation.data import Labelled, from_prepared, has_split
from primus_models.evaluation.protocol import ALL, MODES, NONE, Plan, chosen_mode, episodes
from primus_models.preparation.prepared import Prepared, Take


def split(data: Labelled) -> Labelled:
    """Users 1 to 3 to train on, 4 to validate, 5 and 6 to test on."""
    parts = {"4": "val", "5": "test", "6": "test"}
    return replace(data, split=np.array([parts.get(user, "train") for user in data.user]))


@pytest.mark.parametrize("mode", MODES)
def test_nobody_is_on_both_sides_and_shots_are_of_each_label(data: Labelled, mode: str) -> None:
    plan = Plan(mode, (1, 3, 500), trials=3, seed=4)  # type: ignore[arg-type]
    found = episodes(split(data), plan)
    assert {e.shots for e in found} == {NONE, "1", "3", ALL}  # no label has 500 windows, which is "all"
    for episode in found:
        assert set(data.user[episode.fitted]).isdisjoint(data.user[episode.tested])
        counts = np.bincount(data.label[episode.fitted], minlength=3)
        if episode.shots not in (ALL, NONE):
            assert counts.tolist() == [int(episode.shots)] * 3
        assert len(np.unique(episode.fitted)) == len(episode.fitted)
    per_unit = {e.unit: sorted(o.shots for o in found if o.unit == e.unit) for e in found}
    assert len({tuple(shots) for shots in per_unit.values()}) == 1  # every unit has every number of shots


def test_shots_are_nested_seeded_and_differ_from_trial_to_trial(data: Labelled) -> None:
    plan = Plan("users", (1, 3), trials=4)
    first, again, other = (episodes(data, p) for p in (plan, plan, replace(plan, seed=9)))
    assert [e.key for e in first] == [e.key for e in again]
    assert {e.key for e in first}.isdisjoint(e.key for e in other)
    by = {(e.unit, e.shots): e for e in first}
    for trial in range(4):
        one, three = set(by[trial, "1"].fitted), set(by[trial, "3"].fitted)
        assert one < three < set(by[trial, ALL].fitted)
        assert set(data.label[list(three)]) == {0, 1, 2}
    assert len({frozenset(by[trial, "3"].fitted) for trial in range(4)}) > 1


def test_the_publishers_split_is_kept(data: Labelled) -> None:
    parted = split(data)
    assert chosen_mode(parted) == "published"
    assert chosen_mode(data) == "users"
    for episode in episodes(parted, Plan("published", (2,), trials=2)):
        assert set(data.user[episode.tested]) == {"5", "6"}
        assert set(data.user[episode.fitted]) <= {"1", "2", "3"}
    without_test = replace(parted, split=np.where(parted.split == "test", "", parted.split))
    assert set(data.user[episodes(without_test, Plan("published", (2,)))[0].tested]) == {"4"}


def test_folds_test_everybody_once(data: Labelled) -> None:
    found = [e for e in episodes(data, Plan("folds", (2,), trials=2)) if e.shots == "2"]
    tested = np.concatenate([e.tested for e in found])
    assert np.bincount(tested, minlength=len(data)).tolist() == [2] * len(data)  # once in each trial
    assert len({e.unit for e in found}) == 6


def test_what_cannot_be_measured_says_why(data: Labelled) -> None:
    with pytest.raises(EvaluationError, match="1 person; two or more"):
        episodes(data.only(["3"]), Plan("users"))
    one_label = replace(data, labels=("a",), label=np.zeros(len(data), np.int64))
    with pytest.raises(EvaluationError, match="one label, 'a'"):
        episodes(one_label, Plan("users"))
    with pytest.raises(EvaluationError, match="no split of its publishers"):
        episodes(data, Plan("published"))
    mixed = replace(split(data), user=np.full(len(data), "1"))
    with pytest.raises(EvaluationError, match="'1' on both sides"):
        episodes(mixed, Plan("published"))
    with pytest.raises(EvaluationError, match="9 folds of 6 people"):
        episodes(data, Plan("folds", folds=9))
    with pytest.raises(EvaluationError, match="no user '9'"):
        data.only(["1", "9"])
    apart = replace(data, label=(data.user.astype(int) > 3).astype(np.int64), labels=("a", "b"))
    with pytest.raises(EvaluationError, match="two labels and one window"):
        episodes(replace(apart, split=np.where(apart.label == 0, "train", "test")), Plan("published"))


def test_windows_without_a_label_are_left_out_of_a_prepared_set(data: Labelled) -> None:
    label = np.array([1, -1, 0, 1, -1, 0])
    recording = np.array([0, 0, 0, 1, 1, 1])
    prepared = Prepared(
        "ours", data.array[:6], recording, np.arange(6), label, np.full(6, -1),
        (Take("r", "u", "train"), Take("s", "v", "test")), ("b", "a", "unused"), (),
    )  # fmt: skip
    found = from_prepared(prepared)
    assert found.rows.tolist() == [0, 2, 3, 5]
    assert found.labels == ("a", "b")
    assert [found.labels[place] for place in found.label] == ["a", "b", "a", "b"]
    assert found.user.tolist() == ["u", "u", "v", "v"]
    assert found.left_out == {"windows without a label": 2}
    assert has_split(found)
    assert np.array_equal(next(found.blocks()), data.array[[0, 2, 3, 5]])
    with pytest.raises(EvaluationError, match="no window of ours has a label"):
        from_prepared(replace(prepared, label=np.full(6, -1)))
