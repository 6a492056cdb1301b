"""From a checkpoint to a bundle: lower, run beside the reference, refuse or write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from primus_export import formats
from primus_export.bundle_writer import finish, staging_folder
from primus_export.errors import ExportError
from primus_export.formats.base import Format, Io, Options, Precision
from primus_export.model_card import model_card
from primus_export.parity import PROVING_WINDOWS, Bound, Source, bound_for, compare
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.checkpoint import INPUT_CONTRACT, Checkpoint
from primus_models.graph import EMBEDDING_SIZE, INPUT, Array, Graph
from primus_sdk.files import safetensors_bytes
from primus_sdk.heads.head import Head

KNOWN_ANSWER = "known_answer.safetensors"
HEAD = "head.safetensors"
CARD = "README.md"
_KNOWN_WINDOW = 3
"""The made window whose embedding is the known answer.

Gait with head turns, so that every part of the encoder moves.
"""


@dataclass(frozen=True, eq=False)
class Request:
    """What to export.

    formats: of `primus_export.formats.NAMES`. calibration: windows `(n, 6, 250)` to quantize and prove on, else a
    made set. min_cosine, max_difference: bounds to hold in place of the standard ones (see `primus_export.parity`).
    extra: options that one format alone understands. progress: told each stage in a few words.
    """

    checkpoint: Checkpoint
    formats: Sequence[str]
    precision: Precision
    output: Path
    io: Io = "float32"
    calibration: Array | None = None
    head: Head | None = None
    min_cosine: float | None = None
    max_difference: float | None = None
    extra: dict[str, str] = field(default_factory=dict)
    progress: Callable[[str], None] = lambda _: None


def export(request: Request) -> dict[str, Any]:
    """Write the bundle and return its manifest.

    Every file is run in its own runtime beside the NumPy reference before anything is written: one that misses its
    bound leaves the output as it was.

    Raises:
        ExportError: options that do not go together, or an output that is something else.
        ParityError: a file misses its bound.
        MissingToolError: a converter or runtime is not installed.
        HeadError: the head belongs to another encoder.
        OutputError: the output cannot be written.
    """
    if not request.formats:
        raise ExportError(f"no format given; there are: {', '.join(formats.NAMES)}")
    makers = [formats.get(name) for name in dict.fromkeys(request.formats)]
    for maker in makers:
        if request.precision not in maker.precisions:
            raise ExportError(f"{maker.name} has no {request.precision}; it has: {', '.join(maker.precisions)}")
    graph = _graph(request)
    windows = made_windows(PROVING_WINDOWS) if request.calibration is None else request.calibration
    options = Options(request.precision, windows, request.io, request.extra)
    bound = bound_for(request.precision, request.io, request.min_cosine, request.max_difference)
    request.progress(f"running the reference on {len(windows)} windows")
    expected = reference.run(graph, windows)
    with staging_folder(request.output) as staging:
        models = [_model(maker, graph, options, bound, expected, staging, request) for maker in makers]
        manifest = _manifest(request, models, makers)
        _write_known_answer(graph, staging / KNOWN_ANSWER)
        if request.head is not None:
            request.head.save(staging / HEAD)
        (staging / CARD).write_text(model_card(request.checkpoint, manifest), "utf-8")
        finish(staging, request.output, manifest)
    return manifest


def _graph(request: Request) -> Graph:
    graph = request.checkpoint.graph()
    if request.head is None:
        return graph
    request.head.check_encoder(request.checkpoint.sha256)
    return graph.with_head(request.head.weight, request.head.bias, request.head.temperature)


def _model(
    maker: Format,
    graph: Graph,
    options: Options,
    bound: Bound,
    expected: dict[str, Array],
    staging: Path,
    request: Request,
) -> dict[str, Any]:
    """Write one model file, prove it, and describe it."""
    path = staging / maker.file
    request.progress(f"{maker.name}: writing {options.precision}")
    maker.write(graph, path, options)
    request.progress(f"{maker.name}: running {len(options.calibration)} windows beside the reference")
    source: Source = "made" if request.calibration is None else "calibration"
    report = compare(expected, maker.run(path, options.calibration), bound, source)
    report.check(maker.file)
    entry: dict[str, Any] = {
        "format": maker.name,
        "path": maker.file,
        "precision": options.precision,
        "io": options.io,
        "outputs": list(graph.outputs),
        "input_quantization": None,
        "output_quantization": None,
        "known_answer_cosine": bound.known_answer_cosine,
        "parity": report.as_manifest(),
    }
    return entry | maker.manifest_entry(options, path)


def _manifest(request: Request, models: list[dict[str, Any]], makers: list[Format]) -> dict[str, Any]:
    checkpoint = request.checkpoint
    tools = {"primus-imu": metadata.version("primus-imu"), "numpy": np.__version__}
    for maker in makers:
        tools |= maker.tools()
    return {
        "format": "primus-bundle",
        "schema_version": 1,
        "name": checkpoint.name,
        "encoder": {
            "architecture": checkpoint.architecture,
            "sha256": checkpoint.sha256,
            "embedding_size": EMBEDDING_SIZE,
        },
        "input": {"name": INPUT, **INPUT_CONTRACT, "hop_seconds": 1.0},
        "models": models,
        "known_answer": KNOWN_ANSWER,
        "head": None if request.head is None else HEAD,
        "model_card": CARD,
        "tools": dict(sorted(tools.items())),
        "provenance": checkpoint.provenance,
        "licence": checkpoint.licence,
    }


def _write_known_answer(graph: Graph, path: Path) -> None:
    window = made_windows(_KNOWN_WINDOW + 1)[_KNOWN_WINDOW]
    answer = {name: value[0] for name, value in reference.run(graph, window[None]).items()}
    path.write_bytes(safetensors_bytes({INPUT: window, **answer}, {}))
