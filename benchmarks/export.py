"""Every export beside the default converters: size, accuracy, latency and memory, in one interleaved run on one thread.

    python benchmarks/export.py                 # the table, and whether each target is met
    python benchmarks/export.py --json > run.json
    python benchmarks/export.py --rounds 1000 --checkpoint my.safetensors

Latencies are medians with 5th and 95th percentiles, one window a call. `at p5` is the ratio of the 5th percentiles:
what it is while nothing else on the machine wants the same caches. Only ratios within one run mean anything on
another machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from rich.console import Console
from rich.table import Table

from primus_export import formats
from primus_export.formats.base import Options
from primus_export.parity import bound_for, compare
from primus_export.windows import made_windows
from primus_models import reference
from primus_models.checkpoint import load, released
from timing import Timing, interleaved

Call = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Row:
    """One candidate's figures; megabytes are what the process grew by on loading it and running ten windows."""

    kilobytes: float | None
    min_cosine: float
    max_difference_rms: float
    microseconds: Timing
    megabytes: float | None


@dataclass(frozen=True)
class Target:
    """A claim of the README, measured here."""

    claim: str
    figure: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether the figure keeps to its limit."""
        return self.figure <= self.limit


def open_model(path: Path) -> Call:
    """The model's own interpreter on one thread, with its defaults otherwise."""
    if path.suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda window: session.run(None, {name: window})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    takes, gives = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def call(window: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(takes, window)
        interpreter.invoke()
        embedding: np.ndarray = interpreter.get_tensor(gives)
        return embedding

    return call


def resident_megabytes(path: Path) -> float:
    """How much a fresh process grows by when it opens the model and runs ten windows, its runtime already imported."""
    code = (
        "import sys, psutil, numpy as np; from pathlib import Path;"
        "sys.path.insert(0, sys.argv[2]); import export as b;"
        "import onnxruntime, ai_edge_litert.interpreter;"
        "p = psutil.Process(); before = p.memory_info().rss; call = b.open_model(Path(sys.argv[1]));"
        "w = np.zeros((1, 6, 250), np.float32); [call(w) for _ in range(10)];"
        "print((p.memory_info().rss - before) / 1e6)"
    )
    command = [sys.executable, "-c", code, str(path), str(Path(__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def ours(graph: Any, folder: Path, windows: np.ndarray) -> dict[str, Path]:
    """Every format and precision that a bundle can hold and this machine can time."""
    files = {}
    for name in ("tflite", "onnx"):
        maker = formats.get(name)
        for precision in maker.precisions:
            path = folder / f"primus-{precision}{Path(maker.file).suffix}"
            maker.write(graph, path, Options(precision, windows))
            files[f"{name} {precision}"] = path
    return files


def targets(rows: dict[str, Row]) -> list[Target]:
    """The bounds that the project holds itself to."""

    def ratio(a: str, b: str) -> float:
        return rows[a].microseconds.median / rows[b].microseconds.median

    dynamo, litert = "peer: dynamo ONNX fp32", "peer: litert-torch fp32"
    return [
        Target("TFLite int8, KB", rows["tflite int8"].kilobytes or 0.0, 1190),
        Target("TFLite int8 / litert-torch fp32", ratio("tflite int8", litert), 0.12),
        Target("TFLite fp32 / litert-torch fp32", ratio("tflite fp32", litert), 0.4),
        Target("ONNX int8, KB", rows["onnx int8"].kilobytes or 0.0, 1200),
        Target("ONNX int8 / dynamo ONNX fp32", ratio("onnx int8", dynamo), 0.48),
        Target("ONNX fp32 / dynamo ONNX fp32", ratio("onnx fp32", dynamo), 1.0),
    ]


def measure(checkpoint_path: Path, rounds: int, with_memory: bool, folder: Path, console: Console) -> dict[str, Row]:
    """Build everything, prove everything, then time everything in one run."""
    import peers

    checkpoint = load(checkpoint_path)
    graph, windows = checkpoint.graph(), made_windows(256)
    module = peers.Embedding(checkpoint).eval()
    with console.status("building our exports"):
        files = ours(graph, folder, windows)
    with console.status("building the peers (a minute)"):
        files["peer: dynamo ONNX fp32"] = peers.dynamo_onnx(module, folder)
        files["peer: dynamo ONNX quantize_dynamic"] = peers.quantized_dynamic_onnx(
            files["peer: dynamo ONNX fp32"], folder
        )
        files["peer: litert-torch fp32"] = peers.litert_torch_fp32(module, folder)
        files["peer: litert-torch dynamic int8"] = peers.litert_dynamic_range(files["peer: litert-torch fp32"], folder)
    calls: dict[str, Call] = {name: open_model(path) for name, path in files.items()}
    calls["peer: PyTorch eager"] = peers.eager(module)
    expected = reference.run(graph, windows)
    with console.status("proving each on 256 windows"):
        reports = {
            name: compare(
                expected,
                {"embedding": np.concatenate([np.array(call(window[None])) for window in windows])},
                bound_for("fp32", "float32"),
                "made",
            )
            for name, call in calls.items()
        }
    with console.status(f"timing {len(calls)} candidates, {rounds} rounds"):
        window = windows[3][None]
        timings = interleaved({name: lambda call=call: call(window) for name, call in calls.items()}, rounds)
    with console.status("memory, each in a process of its own"):
        memory = {name: resident_megabytes(path) if with_memory else None for name, path in files.items()}
    return {
        name: Row(
            files[name].stat().st_size / 1000 if name in files else None,
            reports[name].min_cosine,
            reports[name].max_difference_rms,
            timings[name],
            memory.get(name),
        )
        for name in calls
    }


def show(rows: dict[str, Row], console: Console) -> None:
    table = Table(title=f"{platform.machine()}, one thread, one window a call")
    for column in (
        "",
        "KB",
        "min cosine",
        "max diff/RMS",
        "median us",
        "p5 - p95",
        "of its fp32 peer",
        "at p5",
        "MB grown",
    ):
        table.add_column(column, justify="left" if not column else "right", no_wrap=True)
    for name, row in rows.items():
        peer = "peer: dynamo ONNX fp32" if "onnx" in name.lower() else "peer: litert-torch fp32"
        share = row.microseconds.median / rows[peer].microseconds.median
        timing = row.microseconds
        table.add_row(
            name,
            "" if row.kilobytes is None else f"{row.kilobytes:.0f}",
            f"{row.min_cosine:.6f}",
            f"{row.max_difference_rms:.1e}",
            f"{timing.median:.0f}",
            f"{timing.p5:.0f} - {timing.p95:.0f}",
            f"{share:.2f}",
            f"{timing.p5 / rows[peer].microseconds.p5:.2f}",
            "" if row.megabytes is None else f"{row.megabytes:.1f}",
        )
    console.print(table)
    for target in targets(rows):
        mark = "[green]met   [/]" if target.met else "[red]MISSED[/]"
        console.print(f"{mark} {target.claim}: {target.figure:.3g} (at most {target.limit:g})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkpoint", type=Path, default=released("primus"), help="our safetensors; the paper's network if left out"
    )
    parser.add_argument(
        "--rounds", type=int, default=200, help="turns of each candidate, five timed calls each (default 200)"
    )
    parser.add_argument("--no-memory", action="store_true", help="skip the memory column")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json, width=None if sys.stdout.isatty() else 150)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(arguments.checkpoint, arguments.rounds, not arguments.no_memory, Path(folder), console)
    if arguments.json:
        figures = {name: asdict(row) for name, row in rows.items()}
        claims = [asdict(target) | {"met": target.met} for target in targets(rows)]
        print(json.dumps({"machine": platform.machine(), "rows": figures, "targets": claims}, indent=2))
    else:
        show(rows, console)
    return 0 if all(target.met for target in targets(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
