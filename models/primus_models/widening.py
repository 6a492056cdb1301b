"""Gives a trained `tempo` features that its labels did not ask for, so that it tells apart what it was not trained on.

What training by labels leaves of a window is what those labels need: some 64 directions hold all but a fiftieth of the
embedding's variance. Another sensor, another place on the body or other activities ask for more. The statistics that
the hidden layer reads still have it; so their principal directions become the linear features, each divided by the root
of its standard deviation, lest a few outweigh all others. The last layer turns them into the part of the embedding that
the hidden layer leaves empty: what it had stays as it was, to a rotation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from primus_models import reference
from primus_models.architectures import tempo
from primus_models.checkpoint import Checkpoint
from primus_models.errors import TrainingError
from primus_models.graph import EMBEDDING, Array

SHARE = 0.1
"""Of the trained embedding's variance, how much the linear features add."""
_TOGETHER = 512  # windows


def widened(checkpoint: Checkpoint, imu: Array, share: float = SHARE) -> Checkpoint:
    """The encoder with linear features in place of those that it has.

    Args:
        checkpoint: a trained `tempo` whose linear features are 0.
        imu: the windows that it was trained on, `(n, 6, 250)`.
        share: the variance that the linear features add to the embedding, as a share of what it has.

    Raises:
        TrainingError: another architecture, or fewer windows than there are directions.
    """
    if checkpoint.architecture != "tempo":
        raise TrainingError(f"{checkpoint.architecture!r} has no linear features to set; only 'tempo' has")
    if len(imu) <= tempo.LINEAR:
        raise TrainingError(f"{len(imu)} windows have no {tempo.LINEAR} principal directions; more are needed")
    graph = replace(checkpoint.graph(), outputs=(EMBEDDING, tempo.READ))
    parts = [reference.run(graph, imu[start : start + _TOGETHER]) for start in range(0, len(imu), _TOGETHER)]
    embeddings, statistics = (
        np.concatenate([part[name] for part in parts]).astype(np.float64) for name in (EMBEDDING, tempo.READ)
    )
    mean = statistics.mean(axis=0)
    # By the covariance: a handful of times quicker than of the windows themselves, and as exact as is needed here.
    variances, directions = np.linalg.eigh((statistics - mean).T @ (statistics - mean) / len(imu))
    variances, directions = variances[: -tempo.LINEAR - 1 : -1], directions[:, : -tempo.LINEAR - 1 : -1]
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), range(tempo.LINEAR)])
    factors = np.maximum(variances, variances[0] * 1e-9) ** -0.25
    factors *= np.sqrt(share * embeddings.var(axis=0).sum() / (variances * factors**2).sum())
    weight = (directions * factors).T
    trained = checkpoint.tensors["mmcl_head.weight"][:, : tempo.HIDDEN].astype(np.float64)
    empty = np.linalg.svd(trained)[0][:, tempo.HIDDEN : tempo.HIDDEN + tempo.LINEAR]
    tensors = {
        **checkpoint.tensors,
        "linear.weight": weight.astype(np.float32),
        "linear.bias": (-weight @ mean).astype(np.float32),
        "mmcl_head.weight": np.concatenate([trained, empty], axis=1).astype(np.float32),
    }
    return replace(checkpoint, tensors=tensors)
