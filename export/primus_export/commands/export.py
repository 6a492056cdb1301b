"""`primus-export`: a checkpoint in, a bundle of proven model files out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from primus_export.errors import ExportError
from primus_export.export import Request, export
from primus_export.formats import NAMES
from primus_export.parity import PROVING_WINDOWS
from primus_export.text import Embeds, TextFile
from primus_export.windows import made_windows, read_windows
from primus_export.zero_shot import not_aligned, zero_shot
from primus_models.checkpoint import RELEASED, Checkpoint, load, released
from primus_models.graph import Array
from primus_models.towers.sentence import SentenceTower, installed
from primus_sdk.commands._cli import FloatRange, click, command
from primus_sdk.heads.head import Head

PATH = click.Path(path_type=Path)
ACTIVITIES = "activities"
"""The name of a head that comes with a released checkpoint."""
EXAMPLES = """\b
Examples:
  primus-export --format tflite --int8 -o bundle
  primus-export --format onnx,tflite --int8 --head activities -o activities
  primus-export primus --format onnx,tflite --int8 -o primus
  primus-export mine.safetensors --format onnx,tflite,coreml --int8 -o mine.zip
  primus-export primus --format tflite --int8 --io int8 --calibration windows.npy -o mcu
  primus-export --format onnx --fp32 --head walking.safetensors -o bundle
  primus-export --format onnx --labels "walking,running" -o bundle
"""


def _formats(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> list[str]:
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    for name in names:
        if name not in NAMES:
            raise click.BadParameter(f"{name!r} is none of {', '.join(NAMES)}")
    return names


def _labels(_context: click.Context, _option: click.Parameter, value: str | None) -> list[str]:
    return [label.strip() for label in (value or "").split(",") if label.strip()]


@command(epilog=EXAMPLES)
@click.argument("checkpoint", required=False, type=PATH)
@click.option(
    "--format",
    "formats",
    multiple=True,
    required=True,
    callback=_formats,
    metavar="|".join(NAMES),
    help="Give it several times, or a list with commas.",
)
@click.option("--fp32", "precision", flag_value="fp32", help="Weights as they are.")
@click.option("--fp16", "precision", flag_value="fp16", help="Weights in half precision.")
@click.option("--int8", "precision", flag_value="int8", default=True, help="Large matrices in 8 bits (the default).")
@click.option("--int4", "precision", flag_value="int4", help="Large matrices in 4 bits, if the weights allow it.")
@click.option(
    "--io",
    type=click.Choice(["float32", "int8"]),
    default="float32",
    show_default=True,
    help="int8: input, output and activations in integers, for microcontrollers and NPUs (TFLite).",
)
@click.option(
    "--calibration",
    type=PATH,
    metavar="DATA",
    help="Windows (n, 6, 250) in m/s^2 and rad/s as .npy, or a ClassyGlass folder or archive, to quantize "
    "and prove on. Left out: a realistic set made from a seed.",
)
@click.option(
    "--head",
    type=PATH,
    metavar="PATH|activities",
    help="A head (safetensors) to build in; activities: that of a released checkpoint for its 15 activities.",
)
@click.option(
    "--labels",
    callback=_labels,
    metavar="A,B,...",
    help="Build in a head made from these texts, for a checkpoint that was aligned with text.",
)
@click.option(
    "--text-tower",
    type=PATH,
    metavar="FOLDER",
    help="The tower that embeds them: a sentence-transformers model. Left out: an installed one.",
)
@click.option(
    "--text-embeddings",
    type=PATH,
    metavar="FILE",
    help="Or their embeddings by any tower: safetensors, one vector for each text.",
)
@click.option("--min-cosine", type=FloatRange(-1, 1), help="Another bound for fp16, int8, int4; kept in the manifest.")
@click.option("--max-difference", type=FloatRange(0), help="Another bound for fp32, in units of the reference's RMS.")
@click.option(
    "--coreml-target",
    type=click.Choice(["ios15", "ios16", "ios17", "ios18"]),
    default="ios18",
    show_default=True,
    help="ios18 has the GRU as one operation; older systems run a loop.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
@click.option(
    "-o", "--output", required=True, type=PATH, metavar="DIR", help="The bundle's folder, or a name ending in .zip."
)
def main(
    checkpoint: Path | None,
    calibration: Path | None,
    head: Path | None,
    labels: list[str],
    text_tower: Path | None,
    text_embeddings: Path | None,
    coreml_target: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Export CHECKPOINT as a bundle for on-device runtimes.

    CHECKPOINT is a PRIMUS safetensors, or the name of a released one: tempo, ours, taken if left out, or primus, the
    paper's network.

    Every file is run in its own runtime beside the reference before it is written; one that misses its bound is not.
    """
    loaded = load(checkpoint or released())
    windows = None if calibration is None else read_windows(calibration)
    built_in = None if head is None else _head(head, loaded)
    if labels or text_tower or text_embeddings:
        if not labels or head or (text_tower and text_embeddings):
            raise click.UsageError(
                "--text-tower or --text-embeddings goes with --labels, and --labels without --head: choose one"
            )
        built_in = _zero_shot(loaded, labels, text_tower, text_embeddings, windows)
    request = Request(
        checkpoint=loaded,
        calibration=windows,
        head=built_in,
        extra={"coreml_target": coreml_target},
        progress=lambda stage: click.echo(stage, err=True),
        **options,
    )
    manifest = export(request)
    if as_json:
        click.echo(json.dumps(manifest, indent=2))
    else:
        _show(manifest, request.output)


def _head(path: Path, checkpoint: Checkpoint) -> Head:
    if str(path) != ACTIVITIES or path.exists():
        return Head.load(path)
    for name in RELEASED:
        head = Head.load(released(name).with_name(f"{name}-{ACTIVITIES}.safetensors"))
        if head.encoder_sha256 == checkpoint.sha256:
            return head
    raise ExportError(
        f"a head for the 15 activities comes with {' and '.join(RELEASED)}, and {checkpoint.name!r} is neither: "
        "calibrate one for it, with primus-calibrate fit"
    )


def _zero_shot(
    checkpoint: Checkpoint, labels: list[str], folder: Path | None, file: Path | None, windows: Array | None
) -> Head:
    if checkpoint.text is None:  # before a tower is loaded, which takes a while
        raise not_aligned(checkpoint)
    tower: Embeds
    if file is not None:
        tower = TextFile(file)
    else:
        folder = folder or installed(checkpoint.text.tower)
        if folder is None:
            raise ExportError(
                f"the checkpoint was aligned with {checkpoint.text.tower}: name that tower's folder with --text-tower, "
                "or a file of the labels' embeddings with --text-embeddings"
            )
        tower = SentenceTower(folder)
    made = zero_shot(checkpoint, labels, tower, made_windows(PROVING_WINDOWS) if windows is None else windows)
    click.echo(
        f"zero-shot head of {len(labels)} labels: probabilities are within {made.largest_difference:.3f} "
        f"(median {made.median_difference:.3f}) of softmax(cosine / temperature), labels the same",
        err=True,
    )
    return made.head


def _show(manifest: dict[str, Any], output: Path) -> None:
    files = manifest["files"]
    for model in manifest["models"]:
        size = sum(entry["bytes"] for name, entry in files.items() if name.split("/")[0] == model["path"])
        parity = model["parity"]
        ((kind, bound),) = parity["bound"].items()
        click.echo(
            f"{model['path']}  {model['precision']}  {size / 1000:.0f} KB  cosine {parity['min_cosine']:.6f}, "
            f"largest difference {parity['max_difference_rms']:.1e} of RMS over {parity['windows']} windows "
            f"({kind.replace('_', ' ')} {bound:g}{', lowered' if parity['bound_lowered'] else ''})"
        )
    click.echo(f"wrote {output}")
