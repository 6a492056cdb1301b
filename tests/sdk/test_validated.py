"""What `primus-calibrate fit` prints is of people, or else of recordings, that the head has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from primus_sdk.commands import _labelled
from primus_sdk.commands._validated import validated


def test_people_are_recognised_by_heads_that_have_seen_nothing_of_them() -> None:
    rng, users, labels = np.random.default_rng(0), [f"user {i}" for i in range(4)], ["a", "b"]
    own = {(user, label): rng.normal(0, 3, 512) for user in users for label in labels}
    rows = [(user, label, run) for user in users for label in labels for run in range(10)]
    made = _labelled.Labelled(
        np.array([own[user, label] + rng.normal(size=512) for user, label, _ in rows], np.float32),
        [label for _, label, _ in rows],
        [user for user, _, _ in rows],
        [f"{user} {label} {run % 2}" for user, label, run in rows],
        np.arange(80)[:, np.newaxis] * 10**10 + [0, 5 * 10**9],
        {},
    )
    found = validated(made, "ab" * 32, 5, None, None)
    assert (found.by, found.folds, found.scores.windows) == ("people", 4, 80)
    assert found.scores.accuracy < 0.8, "what is a person's own cannot be learnt from the others"
    alone = validated(replace(made, users=["one"] * 80), "ab" * 32, 5, None, None)
    assert (alone.by, alone.scores.accuracy) == ("recordings", 1.0)
