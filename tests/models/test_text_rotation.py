"""Turning an embedding to names: linear probes see no difference, and names become directions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from primus_models import reference
from primus_models.checkpoint import Checkpoint, load, save_checkpoint
from primus_models.errors import CheckpointError, TrainingError
from primus_models.graph import EMBEDDING, Array
from primus_models.text_rotation import turned_to_text
from primus_sdk.calibration.fit import fit_head

LABELS = ("nodding", "resting", "running")


class Tower:
    """Directions of its own for each text, the same each time."""

    name, identity = "made", "made-1"

    def __init__(self, size: int = 64) -> None:
        self.size = size

    def embed(self, texts: Sequence[str]) -> Array:
        vectors = np.stack([np.random.default_rng(list(text.encode())).normal(size=self.size) for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def windows() -> Array:
    """20 of each label, which differ in pace and in tilt."""
    generator, t = np.random.default_rng(0), np.arange(250) / 50
    made = generator.normal(0, 0.3, (60, 6, 250))
    made[:, 1] += 9.81
    for place, pace in enumerate((0.8, 0.0, 2.7)):
        made[20 * place : 20 * place + 20, 3] += 2 * np.sin(2 * np.pi * pace * t)
    return made.astype(np.float32)


@pytest.fixture(scope="module")
def names() -> list[str]:
    return [label for label in LABELS for _ in range(20)]


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load("tempo")


def embed(checkpoint: Checkpoint, windows: Array) -> Array:
    return reference.run(checkpoint.graph(), windows)[EMBEDDING]


def test_names_become_directions(checkpoint: Checkpoint, windows: Array, names: list[str]) -> None:
    turned = turned_to_text(checkpoint, embed(checkpoint, windows), names, Tower(), "a person is {label}")
    assert turned.text is not None
    assert (turned.text.tower, turned.text.size) == ("made", 64)
    texts = np.zeros((3, 512))
    texts[:, :64] = Tower().embed([turned.text.text_of(label) for label in LABELS])
    found = np.array(LABELS)[(embed(turned, windows) @ texts.T).argmax(axis=1)]
    assert (found == np.array(names)).mean() > 0.9
    assert turned.sha256 != checkpoint.sha256


def test_a_linear_probe_sees_no_difference(checkpoint: Checkpoint, windows: Array, names: list[str]) -> None:
    before = embed(checkpoint, windows)
    after = embed(turned_to_text(checkpoint, before, names, Tower(), "{label}"), windows)
    chosen, labels = np.arange(0, 60, 4), names[::4]
    one, other = (fit_head(e[chosen], labels, "any").probabilities(e) for e in (before, after))
    np.testing.assert_allclose(one, other, atol=2e-4)


def test_the_text_space_is_kept_in_the_file(
    checkpoint: Checkpoint, windows: Array, names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("turned") / "a.safetensors"
    turned = turned_to_text(checkpoint, embed(checkpoint, windows), names, Tower(), "{label}")
    save_checkpoint(turned, path)
    assert load(path).text == turned.text
    assert load(path).sha256 == turned.sha256


def test_what_cannot_be_turned_is_refused(checkpoint: Checkpoint, windows: Array, names: list[str]) -> None:
    embeddings = embed(checkpoint, windows)
    with pytest.raises(TrainingError, match="two or more names"):
        turned_to_text(checkpoint, embeddings, ["one"] * 60, Tower(), "{label}")
    with pytest.raises(CheckpointError, match="expected 1 to 512"):
        turned_to_text(checkpoint, embeddings, names, Tower(600), "{label}")
    with pytest.raises(CheckpointError, match="prompt"):
        turned_to_text(checkpoint, embeddings, names, Tower(), "no place")
