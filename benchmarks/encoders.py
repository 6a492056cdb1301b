"""The released encoders beside each other as int8 on a device's runtimes: bytes, and microseconds a window.

    python benchmarks/encoders.py
    python benchmarks/encoders.py --rounds 400 --json
    python benchmarks/encoders.py mine.safetensors

One window a call, one thread, the encoders by turns in one run. The peer is `primus`, the paper's network; the claim is
that ours takes at most half its time on ONNX Runtime and on LiteRT.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

from primus_export.export import Request, export
from primus_export.windows import made_windows
from primus_models.checkpoint import load
from primus_sdk import Recogniser
from primus_sdk.bundles import bundle
from timing import interleaved

PEER, OURS = "primus", "tempo"
RUNTIMES = {"onnxruntime": "onnx", "litert": "tflite"}
LARGEST_SHARE = 0.5


def measure(names: list[str], rounds: int) -> dict[str, Any]:
    """Timings by runtime and encoder, and the bytes of each model file."""
    window = made_windows(1, seed=3)
    sizes: dict[str, dict[str, int]] = {runtime: {} for runtime in RUNTIMES}
    timings: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, dict[str, Recogniser]] = {runtime: {} for runtime in RUNTIMES}
        for name in names:
            path = Path(folder, str(len(sizes[next(iter(RUNTIMES))])))
            manifest = export(Request(load(name), list(RUNTIMES.values()), "int8", path))
            for runtime, form in RUNTIMES.items():
                file = next(model["path"] for model in manifest["models"] if model["format"] == form)
                sizes[runtime][name] = (path / file).stat().st_size
                runs[runtime][name] = Recogniser(bundle.read(path), runtime)
        for runtime, recognisers in runs.items():
            calls = {name: (lambda one=one: one.embed(window[0])) for name, one in recognisers.items()}
            timings[runtime] = {name: asdict(timing) for name, timing in interleaved(calls, rounds).items()}
    return {"microseconds": timings, "bytes": sizes}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default=OURS, help=f"beside {PEER} (default {OURS})")
    parser.add_argument("--rounds", type=int, default=200, help="turns of each (default 200)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    names = [PEER, options.checkpoint]
    result = measure(names, options.rounds)
    shares = {
        runtime: of[options.checkpoint]["median"] / of[PEER]["median"] for runtime, of in result["microseconds"].items()
    }
    met = all(share <= LARGEST_SHARE for share in shares.values())
    if options.json:
        print(json.dumps(result | {"share_of_the_peer": shares, "met": met}, indent=2))
        return 0 if met else 1
    for runtime, of in result["microseconds"].items():
        print(f"{runtime}, int8, one window through the SDK")
        for name in names:
            t, size = of[name], result["bytes"][runtime][name] / 1000
            print(f"  {name:12} {t['median']:7.0f} us  (p5 {t['p5']:.0f}, p95 {t['p95']:.0f})  {size:6.0f} KB")
        verdict = "met" if shares[runtime] <= LARGEST_SHARE else "MISSED"
        print(f"  {shares[runtime]:.2f} of {PEER}'s time; {verdict}: at most {LARGEST_SHARE:g}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
