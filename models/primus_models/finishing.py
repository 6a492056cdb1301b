"""What a trained encoder gets before it is released: names to be told by, and a head for the activities it learnt.

    python -m primus_models.finishing run/checkpoint.safetensors --data classyglass-1AB.tar.xz -o mine.safetensors

does the latter for an encoder that `primus-pretrain` made of ClassyGlass: its text tower has named it already.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from primus_models.checkpoint import Checkpoint, load, save_checkpoint
from primus_models.data import Signal, read_classyglass, windows
from primus_models.errors import TrainingError
from primus_models.evaluation.embedding import by_torch
from primus_models.text_rotation import turned_to_text
from primus_models.towers.opening import open_tower
from primus_models.widening import widened
from primus_sdk.calibration.fit import fit_head
from primus_sdk.commands._cli import click, command
from primus_sdk.heads.head import Head

LICENCE: Final = "BSD-3-Clause-Clear"
CREDIT: Final = (
    "ClassyGlass dataset, MU-Smart, github.com/MU-Smart/ClassyGlass, commit f8335387629081013916768f5ebc6b8c26bc0ef9, "
    "CC BY 4.0"
)
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


def activities_beside(checkpoint: Path) -> Path:
    """Where the head of a checkpoint's activities stands."""
    return checkpoint.with_name(f"{checkpoint.stem}-activities.safetensors")


@command(
    epilog="""\b
Example:
  python -m primus_models.finishing run/checkpoint.safetensors --data classyglass-1AB.tar.xz -o mine.safetensors
"""
)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="ClassyGlass: the published folder or its archive."
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The checkpoint to write.")
def main(checkpoint: Path, data: Path, output: Path) -> None:
    """Write a CHECKPOINT pretrained on ClassyGlass as it is released and, beside it, the head OUTPUT-activities."""
    pretrained = load(checkpoint)
    users = set(pretrained.provenance.get("users_trained_on", ()))
    known = [signal for signal in read_classyglass(data) if signal.user in users]
    if not known:
        raise TrainingError(f"{checkpoint} names nobody of ClassyGlass as trained on; pretrain on that first")
    credited = {**pretrained.provenance, "data": CREDIT}
    finished, head = finish(replace(pretrained, licence=LICENCE, provenance=credited), known, "")
    save_checkpoint(finished, output)
    head.save(activities_beside(output))
    click.echo(f"wrote {output} and {activities_beside(output)}, fitted on {len(users)} people", err=True)


if __name__ == "__main__":
    main()
