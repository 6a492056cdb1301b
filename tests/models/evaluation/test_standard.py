"""Standard training: what it learns from, what it may not see, and that it is made once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from primus_models.errors import EvaluationError
from primus_models.evaluation import standard
from primus_models.evaluation.cache import Cache
from primus_models.evaluation.data import Labelled
from primus_models.evaluation.measure import Contestant, measure
from primus_models.evaluation.protocol import Episode, Plan, episodes
from primus_models.evaluation.standard import BATCH, TRAINING, Effort, FromScratch, scratch

torch = pytest.importorskip("torch")
EFFORT = Effort(30, 1)


def episode_of(data: Labelled, shots: int) -> Episode:
    return next(e for e in episodes(data, Plan("users", (shots,))) if e.shots == str(shots))


def recognised(data: Labelled, episode: Episode, effort: Effort = EFFORT) -> np.ndarray:
    nothing = np.zeros((0, 0), np.float32)
    return FromScratch(data, "primus", effort).recognise(episode, nothing, data.label[episode.fitted], nothing)


def test_it_learns_from_the_shots_and_is_trained_once(data: Labelled, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    probe = FromScratch(data, "primus", EFFORT, lambda *step: told.append(step))
    plan = Plan("users", (1, 5), everything=False, trials=1)
    contestant = Contestant(scratch("primus", EFFORT), (probe,))
    (entry,) = measure(data, [contestant], plan, Cache(tmp_path, data.sha256())).entries
    assert (entry.name, entry.kind, set(entry.scores)) == ("standard training", "standard training", {"1", "5"})
    assert "30 steps or 1 epochs" in entry.how
    assert entry.scores["5"].accuracy.value > 0.75  # chance is a third
    assert told[0] == (f"{TRAINING} on 1 shots", 0, 30)
    assert len(told) == 2 * 31  # one trial of two numbers of shots
    again = measure(data, [contestant], plan, Cache(tmp_path, data.sha256()))
    assert len(told) == 2 * 31
    assert np.array_equal(again.entries[0].scores["5"].units, entry.scores["5"].units)
    longer = Contestant(scratch("primus", Effort(1, 1)), (replace(probe, effort=Effort(1, 1)),))
    measure(data, [longer], plan, Cache(tmp_path, data.sha256()))
    assert len(told) == 2 * 31 + 2 * 2  # another effort is another training


def test_its_seed_alone_decides(data: Labelled) -> None:
    # After one step nothing is learnt: what is recognised shows the initial weights.
    episode = episode_of(data, 1)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = recognised(data, episode, Effort(1, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert np.array_equal(recognised(data, episode, Effort(1, 1)), first)
    others = [recognised(data, replace(episode, seed=(0, 0, number)), Effort(1, 1)) for number in range(1, 5)]
    assert any(not np.array_equal(other, first) for other in others)


def test_it_never_sees_the_people_tested(data: Labelled) -> None:
    episode = episode_of(data, 5)
    first = recognised(data, episode)
    assert len(set(first.tolist())) > 1
    unseen = np.setdiff1d(np.arange(len(data)), np.concatenate([episode.fitted, episode.tested[::2]]))
    array, label = data.array.copy(), data.label.copy()
    array[data.rows[unseen]] = np.nan  # one such window in training, and the loss were no number
    label[unseen] = 0
    label[episode.tested] = 0
    assert np.array_equal(recognised(replace(data, array=array, label=label), episode)[::2], first[::2])
    array[data.rows[episode.fitted[0]]] = np.nan
    with pytest.raises(EvaluationError, match="at 5 shots: the loss became nan"):
        recognised(replace(data, array=array), episode)


def test_labels_without_shots_are_never_recognised(data: Labelled) -> None:
    known = np.array([0, 2])
    episode = episode_of(data, 5)
    fitted = episode.fitted[np.isin(data.label[episode.fitted], known)]
    assert set(recognised(data, replace(episode, fitted=fitted, known=known)).tolist()) <= {0, 2}


def test_an_effort_is_steps_or_epochs_whichever_is_more() -> None:
    assert Effort(200, 10).of(15) == 200
    assert Effort(200, 10).of(32 * BATCH) == 320
    assert Effort(200, 10).of(32 * BATCH + 1) == 330


def test_without_pytorch_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard, "has_torch", lambda architecture: False)
    with pytest.raises(EvaluationError, match=r"pip install 'primus-imu\[train\]'"):
        scratch("primus", EFFORT)
