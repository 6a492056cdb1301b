"""From nothing to the first embedding, in a fresh process each time: import, load, first window.

    python benchmarks/cold_start.py
    python benchmarks/cold_start.py --runs 100 --json

Milliseconds, with ONNX Runtime and with LiteRT in turn, and beside them the least that each can take: NumPy and the
library alone, which are given the same model and window, with nothing of ours and nothing checked. `runtime` is the
library's import, the model's session and the known answer; `total` is all parts, without the interpreter's own start.
`processor` is what of it was computed, which other programs on the machine change the least. Files are in the disk
cache and Python has compiled what it imports, as on every start but an installation's first.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from primus_sdk.bundles import bundle

OURS = ("onnxruntime", "litert")
RUNTIMES = (*OURS, *(f"{name}, bare" for name in OURS))
LIMIT_MS = 150.0
PARTS = ("numpy", "primus_sdk", "bundle", "runtime", "first window")
WARM_UP = 2
CHILD = """
import sys, time
clock = time.perf_counter
processor = time.process_time()
times = [clock()]
import numpy
times.append(clock())
import primus_sdk
from primus_sdk.bundles import bundle
times.append(clock())
content = bundle.read(bundle.RELEASED)
times.append(clock())
recogniser = primus_sdk.Recogniser(content, sys.argv[1])
times.append(clock())
window = numpy.zeros((6, 250), numpy.float32)
window[2] = 9.81
recogniser.embed(window)
times.append(clock())
print(*(1000 * (end - start) for start, end in zip(times, times[1:])), 1000 * (time.process_time() - processor))
"""

BARE = """
import sys, time
clock = time.perf_counter
processor = time.process_time()
begin = clock()
import numpy
imported = clock()
window = numpy.zeros((1, 6, 250), numpy.float32)
window[:, 2] = 9.81
if sys.argv[1] == "onnxruntime":
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
    run = lambda: session.run(["embedding"], {"imu": window})
else:
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(sys.argv[2], num_threads=1)
    run = interpreter.get_signature_runner()
    run = lambda run=run: run(imu=window)
loaded = clock()
run()
end = clock()
parts = imported - begin, 0, 0, loaded - imported, end - loaded
print(*(1000 * part for part in parts), 1000 * (time.process_time() - processor))
"""


def started(runtime: str, environment: Mapping[str, str]) -> list[float]:
    """Milliseconds of each part, and of the processor, in one fresh process; `..., bare` is the library alone."""
    library, _, bare = runtime.partition(", ")
    model = Path(bundle.RELEASED) / {"onnxruntime": "encoder.onnx", "litert": "encoder.tflite"}[library]
    command = [sys.executable, "-c", BARE if bare else CHILD, library, str(model)]
    result = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=True)
    return [float(part) for part in result.stdout.split()]


def measure(runs: int) -> dict[str, np.ndarray]:
    """Milliseconds `(runs, parts and processor)` for each runtime; they take turns."""
    taken: dict[str, list[list[float]]] = {runtime: [] for runtime in RUNTIMES}
    with tempfile.TemporaryDirectory() as folder:
        # Compiled once into a folder of our own, whatever this machine does about compiled files.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPYCACHEPREFIX": folder, "OMP_NUM_THREADS": "1"}
        for run in range(WARM_UP + runs):
            for runtime in RUNTIMES:
                parts = started(runtime, environment)
                if run >= WARM_UP:
                    taken[runtime].append(parts)
    return {runtime: np.array(rows) for runtime, rows in taken.items()}


def summary(rows: np.ndarray) -> dict[str, dict[str, float]]:
    """Median, 5th and 95th percentile of each part, of the total and of the processor."""
    *parts, processor = rows.T
    columns = {**dict(zip(PARTS, parts, strict=True)), "total": np.sum(parts, axis=0), "processor": processor}
    return {
        name: dict(zip(("median", "p5", "p95"), np.percentile(column, [50, 5, 95]).tolist(), strict=True))
        for name, column in columns.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30, help="fresh processes for each runtime (default 30)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    figures = {runtime: summary(rows) for runtime, rows in measure(arguments.runs).items()}
    met = {runtime: figures[runtime]["total"]["median"] <= LIMIT_MS for runtime in OURS}
    if arguments.json:
        print(json.dumps({"milliseconds": figures, "load_before": load, "limit": LIMIT_MS, "met": met}, indent=2))
        return 0 if all(met.values()) else 1
    print(f"load average before: {load:.2f} on {os.cpu_count()} cores")
    for runtime, parts in figures.items():
        print(runtime)
        for name, part in parts.items():
            if part["p95"]:
                print(f"  {name:13s} {part['median']:6.1f} ms  (p5 {part['p5']:.1f}, p95 {part['p95']:.1f})")
        if runtime in met:
            ratio = parts["total"]["median"] / figures[f"{runtime}, bare"]["total"]["median"]
            print(f"  {'met' if met[runtime] else 'MISSED'}: at most {LIMIT_MS:g} ms in all, the median")
            print(f"  {ratio:.2f} of what NumPy and the library take alone")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
