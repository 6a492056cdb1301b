"""What a trained encoder gets before it is released: names to be told by, and a head for the activities it learnt."""

from __future__ import annotations

from typing import Final

from primus_models.checkpoint import Checkpoint
from primus_models.data import Signal, windows
from primus_models.errors import TrainingError
from primus_models.evaluation.embedding import by_torch
from primus_models.text_rotation import turned_to_text
from primus_models.towers.opening import open_tower
from primus_models.widening import widened
from primus_sdk.calibration.fit import fit_head
from primus_sdk.heads.head import Head

PROMPT: Final = "a person is {label}"


def finish(
    checkpoint: Checkpoint, signals: list[Signal], text_tower: str, linear_share: float = 0.0
) -> tuple[Checkpoint, Head]:
    """The encoder as it is released, and a head for the activities, both by the people it was trained on.

    linear_share: what `widened` adds; 0: the linear features stay as they are.
    text_tower: whose embeddings of the activities' names the embedding is turned to, as `open_tower` takes it; "": of
    none. The head bears no date, so that the same training gives the same bytes.

    Raises:
        TowerError: the tower cannot be opened.
        TrainingError: it reads no text, or there are too few windows to widen by.
    """
    imu, labels, _ = windows(signals)
    if linear_share:
        checkpoint = widened(checkpoint, imu, linear_share)
    if text_tower:
        tower = open_tower(text_tower).text
        if tower is None:
            raise TrainingError(f"{text_tower} reads no text; take a text tower such as minilm")
        checkpoint = turned_to_text(checkpoint, by_torch(checkpoint)(imu), labels, tower, PROMPT)
    return checkpoint, fit_head(by_torch(checkpoint)(imu), labels.tolist(), checkpoint.sha256)
