"""`primus-import official.ckpt -o primus.safetensors`: convert the published Lightning checkpoint, without PyTorch."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from primus_models import architectures
from primus_models.checkpoint import Checkpoint, save_checkpoint
from primus_models.errors import CheckpointError
from primus_models.graph import EMBEDDING_SIZE, Array
from primus_models.pickle_reader import TensorRef, Value
from primus_models.text_space import LABEL, TextSpace
from primus_models.torch_archive import TorchArchive
from primus_sdk.commands._cli import FloatRange, click, command

ARCHITECTURE = "primus"
PREFIX = "imu_encoder."


@dataclass(frozen=True)
class Report:
    """What an import took and what it left.

    kept: tensor names, without the prefix. dropped_tensors: how many entries of the state dict, by the first part of
    their names. dropped_entries: the other entries of the checkpoint (optimizer state, hyperparameters, ...), of
    which nothing was built.
    """

    kept: list[str]
    dropped_tensors: dict[str, int]
    dropped_entries: list[str]


def import_checkpoint(path: Path, licence: str = "unknown", text: TextSpace | None = None) -> tuple[Checkpoint, Report]:
    """The encoder of a published checkpoint, and what else was in the file.

    text: what its pretraining aligned it with; the file itself does not say.

    Raises:
        CheckpointNotFoundError: there is no file. CheckpointError: truncated, foreign, or its encoder lacks tensors
        or has misshapen ones; nothing in it was ever run.
    """
    with TorchArchive(path) as archive:
        top = archive.value()
        if type(top) is not dict or type(top.get("state_dict")) is not dict:
            raise CheckpointError(
                f"{path}: it holds no state_dict; a PyTorch Lightning checkpoint does. Is it the published one?"
            )
        state: dict[Value, Value] = top["state_dict"]
        references = _encoder_of(path, state)
        tensors = {name: _weights(archive, name, reference) for name, reference in references.items()}
    others = Counter(_shown(key).partition(".")[0] for key in state if not _is_encoder(key))
    report = Report(
        sorted(tensors), dict(sorted(others.items())), sorted(_shown(key) for key in top if key != "state_dict")
    )
    provenance = {"imported_from": path.name, "imported_sha256": _file_sha256(path)}
    return Checkpoint(ARCHITECTURE, tensors, licence=licence, provenance=provenance, text=text), report


def _is_encoder(key: Value) -> bool:
    return isinstance(key, str) and key.startswith(PREFIX)


def _encoder_of(path: Path, state: dict[Value, Value]) -> dict[str, TensorRef]:
    """The encoder's tensors by name, of the right shapes; checked before any number is read."""
    architecture = architectures.get(ARCHITECTURE)
    shapes = architecture.SHAPES | architecture.TRAINING_SHAPES
    found = {key.removeprefix(PREFIX): value for key, value in state.items() if _is_encoder(key)}
    if not found:
        there = sorted({_shown(key).partition(".")[0] for key in state})[:10]
        raise CheckpointError(
            f"{path}: no tensor of its state_dict begins with {PREFIX!r}; there are {there}. Is it the published one?"
        )
    missing, foreign = (
        sorted(set(architecture.SHAPES) - set(found)),
        sorted(_shown(key) for key in set(found) - set(shapes)),
    )
    if missing or foreign:
        raise CheckpointError(
            f"{path}: its encoder is another: missing {missing or 'nothing'}, foreign {foreign[:10] or 'nothing'}"
        )
    for name, value in found.items():
        if not isinstance(value, TensorRef):
            raise CheckpointError(f"{path}: {PREFIX}{name} is no plain tensor; only those are taken")
        if value.shape != shapes[name]:
            raise CheckpointError(f"{path}: {PREFIX}{name} has shape {value.shape}; the encoder's is {shapes[name]}")
    return found


def _weights(archive: TorchArchive, name: str, reference: TensorRef) -> Array:
    tensor = archive.tensor(reference)
    if not np.issubdtype(tensor.dtype, np.floating):
        raise CheckpointError(
            f"{archive.path}: {PREFIX}{name} holds {tensor.dtype}; weights are floating-point numbers"
        )
    with np.errstate(over="ignore"):  # what overflows becomes infinity, which a checkpoint refuses
        return tensor.astype(np.float32)


def _shown(key: Value) -> str:
    """A key as it may be printed: one short line of visible ASCII, whatever the file holds."""
    return ascii(key)[1:-1][:80] if isinstance(key, str) else f"<{type(key).__name__}>"


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def summary(report: Report, output: Path) -> str:
    """The report as lines for people."""
    lines = [f"kept {len(report.kept)} tensors of {PREFIX}*: {', '.join(report.kept)}"]
    if report.dropped_tensors:
        counts = ", ".join(f"{prefix}.* ({count})" for prefix, count in report.dropped_tensors.items())
        lines.append(f"dropped {sum(report.dropped_tensors.values())} of other parts: {counts}")
    if report.dropped_entries:
        lines.append(f"dropped, unbuilt: {', '.join(report.dropped_entries)}")
    return "\n".join([*lines, f"wrote {output}"])


def as_json(report: Report, checkpoint: Checkpoint, output: Path) -> str:
    """The report for programs."""
    record = {**asdict(report), "encoder_sha256": checkpoint.sha256, "output": str(output)}
    return json.dumps(record, indent=2, sort_keys=True)


EXAMPLES = """\b
Examples:
  primus-import official.ckpt -o primus.safetensors --licence BSD-3-Clause-Clear
  primus-import official.ckpt -o primus.safetensors --text-tower CLIP4Clip --text-size 512 --text-temperature 0.1
  primus-export primus.safetensors --format tflite --int8 -o bundle
"""


@command(epilog=EXAMPLES)
@click.argument("source", type=click.Path(path_type=Path), metavar="CHECKPOINT")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The safetensors file to write.")
@click.option(
    "--licence", default="unknown", show_default=True, help="The licence of the weights, for the file's metadata."
)
@click.option(
    "--text-tower", metavar="NAME", help="The text tower that pretraining aligned it with, for primus-export --labels."
)
@click.option(
    "--text-size", type=int, default=EMBEDDING_SIZE, show_default=True, help="Numbers in that tower's embedding."
)
@click.option(
    "--text-temperature", type=FloatRange(0, min_open=True), help="What pretraining divided cosines by, at its end."
)
@click.option("--text-prompt", default=LABEL, show_default=True, help="The text of a label.")
@click.option("--json", "json_wanted", is_flag=True, help="Print the report as JSON.")
def main(
    source: Path,
    output: Path,
    licence: str,
    text_tower: str | None,
    text_size: int,
    text_temperature: float | None,
    text_prompt: str,
    json_wanted: bool,
) -> None:
    """Convert the published PyTorch Lightning CHECKPOINT to safetensors.

    Takes the IMU encoder's tensors and leaves out the other towers, optimizer state and all objects. Needs no
    PyTorch, and never runs what a pickle asks for.
    """
    if (text_tower is None) != (text_temperature is None):
        raise click.UsageError("--text-tower and --text-temperature go together: zero-shot heads need both")
    text = None
    if text_tower is not None and text_temperature is not None:
        text = TextSpace(text_tower, text_size, text_temperature, text_prompt)
    checkpoint, report = import_checkpoint(source, licence, text)
    save_checkpoint(checkpoint, output)
    click.echo(as_json(report, checkpoint, output) if json_wanted else summary(report, output))
