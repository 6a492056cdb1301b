"""Measure an encoder on people it has never seen: `python -m primus_models.evaluate --data PATH [CHECKPOINT] [--json]`.

The protocol of every figure in the model card. The held-out people (`primus_models.data.held_out`) are parted at
random into two and three. A linear head is fitted on k windows of each activity, drawn from one part, and tested on
every window of the other part whose activity the head knows; then the parts change places. That is one trial, and its
figure the mean of both; 8 trials give a mean and its standard error. It is an error of draws, not of people: five
people are few.

Beside the checkpoint stand the same network with random weights (PyTorch's initial distribution), features made by
hand, and guessing. All get the same windows, the same shots and the same linear head
(`primus_sdk.calibration.fit.fit_head`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from primus_models.checkpoint import Checkpoint, load, released
from primus_models.data import Signal, read_classyglass, split, windows
from primus_models.evaluation.embedding import embed, random_weights
from primus_models.evaluation.scores import macro_f1
from primus_models.features import handcrafted
from primus_models.graph import EMBEDDING_SIZE, Array
from primus_sdk.calibration.fit import fit_head
from primus_sdk.commands._cli import click, command

SHOTS = (1, 5, 10, 50)
TRIALS = 8


@dataclass(frozen=True)
class Score:
    """Accuracy and macro F1 in 0..1: mean over the trials, and its standard error."""

    accuracy: float
    accuracy_error: float
    macro_f1: float
    macro_f1_error: float


def evaluate(checkpoint: Checkpoint, signals: list[Signal], trials: int = TRIALS) -> dict[str, dict[int, Score]]:
    """Scores by features ("encoder", "random weights", "handcrafted", "guessing") and shots a class.

    Raises:
        TrainingError: the signals are of fewer than five people.
    """
    imu, labels, users = windows(split(signals)[1])
    sources: dict[str, Array | None] = {
        "encoder": embed(checkpoint, imu),
        "random weights": embed(random_weights(checkpoint), imu),
        "handcrafted": _padded(handcrafted(imu)),
        "guessing": None,
    }
    return {
        name: {shots: _score(features, labels, users, shots, trials) for shots in SHOTS}
        for name, features in sources.items()
    }


def _padded(features: Array) -> Array:
    """Standardised features, widened with zeros to the embedding's 512, so that the same fit takes them."""
    standard = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    return np.pad(standard, ((0, 0), (0, EMBEDDING_SIZE - features.shape[1])))


def _score(features: Array | None, labels: NDArray[np.str_], users: NDArray[np.str_], shots: int, trials: int) -> Score:
    figures = np.array([_trial(features, labels, users, shots, np.random.default_rng(seed)) for seed in range(trials)])
    mean, error = figures.mean(axis=0), figures.std(axis=0, ddof=1) / np.sqrt(trials)
    return Score(float(mean[0]), float(error[0]), float(mean[1]), float(error[1]))


def _trial(
    features: Array | None,
    labels: NDArray[np.str_],
    users: NDArray[np.str_],
    shots: int,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """Accuracy and macro F1 of one parting of the people; without features, of guessing."""
    people = generator.permutation(np.unique(users))
    part = np.isin(users, people[: len(people) // 2])
    both = []
    for source in (part, ~part):
        known = np.unique(labels[source])
        taken = [generator.permutation(np.flatnonzero(source & (labels == label)))[:shots] for label in known]
        chosen = np.concatenate(taken)
        tested = ~source & np.isin(labels, known)
        if features is None:
            predicted = generator.choice(known, tested.sum())
        else:
            head = fit_head(features[chosen], labels[chosen].tolist(), "any")
            predicted = np.array(head.labels)[head.probabilities(features[tested]).argmax(axis=1)]
        both.append((float((predicted == labels[tested]).mean()), macro_f1(labels[tested], predicted)))
    accuracy, f1 = np.mean(both, axis=0)
    return float(accuracy), float(f1)


def as_record(scores: dict[str, dict[int, Score]]) -> dict[str, dict[str, dict[str, float]]]:
    """Scores as JSON holds them, to four digits."""
    return {
        name: {
            str(shots): {key: round(value, 4) for key, value in asdict(score).items()}
            for shots, score in by_shots.items()
        }
        for name, by_shots in scores.items()
    }


def as_table(scores: dict[str, dict[int, Score]]) -> str:
    """Scores as a Markdown table: accuracy / macro F1, each with its standard error."""
    lines = ["| shots an activity | " + " | ".join(map(str, SHOTS)) + " |", "|---|" + "---|" * len(SHOTS)]
    for name, by_shots in scores.items():
        cells = [
            f"{s.accuracy:.1%} ± {s.accuracy_error:.1%} / {s.macro_f1:.1%} ± {s.macro_f1_error:.1%}"
            for s in by_shots.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@command(
    epilog="""\b
Examples:
  python -m primus_models.evaluate --data classyglass-1AB.tar.xz
  python -m primus_models.evaluate mine.safetensors --data ClassyGlass/ --json
"""
)
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="ClassyGlass: the published folder or its archive."
)
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON instead of a table.")
def main(checkpoint: Path | None, data: Path, json_wanted: bool) -> None:
    """Measure CHECKPOINT (the released one if left out) on the people it was not trained on."""
    scores = evaluate(load(checkpoint or released()), read_classyglass(data))
    click.echo(json.dumps(as_record(scores), indent=2) if json_wanted else as_table(scores))


if __name__ == "__main__":
    main()
