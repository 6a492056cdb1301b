"""Linear features added to a trained encoder: what it had stays, and what it had lost comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from primus_export.windows import made_windows
from primus_models import reference
from primus_models.architectures import tempo
from primus_models.checkpoint import Checkpoint, load
from primus_models.errors import TrainingError
from primus_models.graph import EMBEDDING, Array
from primus_models.widening import widened


@pytest.fixture(scope="module")
def windows() -> Array:
    return made_windows(200)


@pytest.fixture(scope="module")
def narrow() -> Checkpoint:
    """As training leaves it: the linear features are 0, and their columns of the last layer anything."""
    released = load("tempo")
    tensors = {name: tensor.copy() for name, tensor in released.tensors.items()}
    for name in ("linear.weight", "linear.bias"):
        tensors[name][:] = 0
    tensors["mmcl_head.weight"][:, tempo.HIDDEN :] = 7
    return replace(released, tensors=tensors)


def embed(checkpoint: Checkpoint, windows: Array) -> Array:
    return reference.run(checkpoint.graph(), windows)[EMBEDDING].astype(np.float64)


def test_what_the_labels_trained_stays_and_the_rest_is_at_right_angles(narrow: Checkpoint, windows: Array) -> None:
    before, after = embed(narrow, windows), embed(widened(narrow, windows, share=0.2), windows)
    added = after - before
    trained = narrow.tensors["mmcl_head.weight"][:, : tempo.HIDDEN].astype(np.float64)
    assert np.abs(added @ trained).max() < 1e-4 * np.linalg.norm(trained, axis=0).max()
    assert added.var(axis=0).sum() == pytest.approx(0.2 * before.var(axis=0).sum(), rel=1e-3)
    assert np.abs(added.mean(axis=0)).max() < 1e-5


def test_no_direction_outweighs_the_others(narrow: Checkpoint, windows: Array) -> None:
    graph = replace(widened(narrow, windows).graph(), outputs=("linear", tempo.READ))
    found = reference.run(graph, windows)
    deviations = np.sort(found["linear"].std(axis=0))[::-1]
    principal = np.linalg.svd(found[tempo.READ] - found[tempo.READ].mean(axis=0), compute_uv=False)[: tempo.LINEAR]
    shares = deviations / deviations[0]
    assert shares == pytest.approx(np.sqrt(principal / principal[0]), rel=0.02)
    assert np.abs(np.corrcoef(found["linear"].T) - np.eye(tempo.LINEAR)).max() < 0.02


def test_the_same_windows_give_the_same_encoder(narrow: Checkpoint, windows: Array) -> None:
    assert widened(narrow, windows).sha256 == widened(narrow, windows).sha256


def test_what_cannot_be_widened_is_refused(narrow: Checkpoint, windows: Array) -> None:
    with pytest.raises(TrainingError, match="'primus' has no linear features"):
        widened(load("primus"), windows)
    with pytest.raises(TrainingError, match="100 windows have no 128 principal directions"):
        widened(narrow, windows[:100])
