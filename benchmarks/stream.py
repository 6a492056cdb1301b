"""What streaming costs: pushes, windows, replay, cold start, memory; each beside something known, in one run.

    python benchmarks/stream.py
    python benchmarks/stream.py --hours 24 --rounds 3
    python benchmarks/stream.py --json

Made samples of 100 Hz. "steady": a sample every 10 ms to the nanosecond; "uneven": each up to 0.5 ms early or late, as
real clocks are. The peers: the released encoder itself, one window at a time and in batches; and for windowing,
SciPy's polyphase resampling of the whole recording, cut into windows by slicing. One core.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import psutil
from scipy import signal

import primus_sdk
from primus_sdk.heads.head import Head
from primus_sdk.recordings import Samples
from primus_sdk.windowing.windows import WindowStream

RATE = 100
START = 1_700_000_000_000_000_000


def recording(hours: float, uneven_ms: float) -> tuple[Samples, Samples]:
    """Both sensors of somebody moving."""
    random = np.random.default_rng(0)
    count = int(hours * 3600 * RATE)
    sensors = []
    for side in (0, 1):
        times = START + np.arange(count, dtype=np.int64) * (1_000_000_000 // RATE)
        if uneven_ms:
            times += (random.uniform(-uneven_ms, uneven_ms, count) * 1e6).astype(np.int64)
        values = random.normal(0, 0.5, (count, 3))
        values[:, 1] += 2 * np.sin(np.arange(count) * 0.1) + 9.8 * (side == 0)
        sensors.append(Samples(times, values))
    return sensors[0], sensors[1]


def head_of(encoder_sha256: str) -> Head:
    """Fifteen labels; what it says is no matter here."""
    random = np.random.default_rng(1)
    labels = tuple(f"activity {number}" for number in range(15))
    return Head(labels, random.normal(0, 0.1, (15, 512)).astype(np.float32), np.zeros(15, np.float32), encoder_sha256)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def spread(values: list[float]) -> dict[str, float]:
    """Median and the outer percentiles."""
    p5, median, p95 = np.percentile(values, [5, 50, 95])
    return {"median": float(median), "p5": float(p5), "p95": float(p95)}


def push_all(sensors: tuple[Samples, Samples], chunk: int, hop: float) -> int:
    """Windows only, no encoder: both sensors by turns, in chunks; the number of windows."""
    stream, windows = WindowStream(hop), 0
    (times_a, values_a), (times_g, values_g) = ((s.timestamps_ns, s.values) for s in sensors)
    if chunk == 1:
        rows = zip(times_a.tolist(), values_a.tolist(), times_g.tolist(), values_g.tolist(), strict=True)
        for time_a, row_a, time_g, row_g in rows:
            windows += len(stream.push_accelerometer(time_a, row_a)) + len(stream.push_gyroscope(time_g, row_g))
    else:
        for at in range(0, len(times_a), chunk):
            part = slice(at, at + chunk)
            windows += len(stream.push_accelerometer(times_a[part], values_a[part]))
            windows += len(stream.push_gyroscope(times_g[part], values_g[part]))
    return windows + len(stream.flush())


def by_scipy(sensors: tuple[Samples, Samples], hop: float) -> int:
    """The same windows from a polyphase filter over the whole recording, which must be steady."""
    taps = signal.firwin(41, 0.5)
    grid = np.concatenate([signal.resample_poly(s.values, 1, 2, window=taps).T for s in sensors])
    step = round(hop * 50)
    return len([grid[:, at : at + 250].astype(np.float32) for at in range(0, grid.shape[1] - 249, step)])


def live_by_scipy(sensors: tuple[Samples, Samples]) -> int:
    """A polyphase filter over each second of each sensor as it comes: no clock is looked at, and nothing is cut.

    The least that a library in NumPy's world spends on a window a second; what a live stream does comes on top.
    """
    taps = signal.firwin(41, 0.5)
    seconds = range(0, len(sensors[0].timestamps_ns), RATE)
    return sum(
        len(signal.resample_poly(s.values[at : at + RATE], 1, 2, window=taps)) for at in seconds for s in sensors
    )


def replay(recogniser: primus_sdk.Recogniser, sensors: tuple[Samples, Samples], hop: float) -> int:
    """Windows, encoder in batches, and head."""
    return sum(1 for _ in recogniser.replay(sensors, hop))


def live(recogniser: primus_sdk.Recogniser, sensors: tuple[Samples, Samples], hop: float, chunk: int) -> int:
    """Windows, encoder one by one, and head."""
    stream, count = recogniser.stream(hop), 0
    accelerometer, gyroscope = sensors
    for at in range(0, len(accelerometer.timestamps_ns), chunk):
        part = slice(at, at + chunk)
        count += len(stream.push_accelerometer(accelerometer.timestamps_ns[part], accelerometer.values[part]))
        count += len(stream.push_gyroscope(gyroscope.timestamps_ns[part], gyroscope.values[part]))
    return count + len(stream.flush())


def measure(hours: float, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything but the cold start. Candidates take turns in each round."""
    minutes = {name: recording(1 / 30, uneven) for name, uneven in (("steady", 0.0), ("uneven", 0.5))}
    long = {name: recording(hours, uneven) for name, uneven in (("steady", 0.0), ("uneven", 0.5))}
    taken: dict[str, list[float]] = {}
    with primus_sdk.load() as recogniser:
        recogniser.head = head_of(recogniser.manifest.encoder_sha256)
        imu = np.stack([window.imu for window in _windows(minutes["uneven"])])
        candidates: dict[str, tuple[Callable[[], Any], float]] = {}  # seconds are divided by the second of the two
        pushed = 2.0 * len(minutes["uneven"][0].timestamps_ns)
        for chunk in (1, 10, 100, 1000):
            candidates[f"push by {chunk}, s a sample"] = (
                lambda chunk=chunk: push_all(minutes["uneven"], chunk, 1.0),
                pushed,
            )
        candidates["encoder alone, s a window"] = (lambda: [recogniser.embed(window) for window in imu], len(imu))
        candidates["encoder in batches, s a window"] = (lambda: recogniser.embed(imu), len(imu))
        for chunk in (10, 100):
            candidates[f"live by {chunk}, s a window"] = (
                lambda chunk=chunk: live(recogniser, minutes["uneven"], 1.0, chunk),
                len(imu),
            )
        for name, sensors in long.items():
            for hop in (1.0, 5.0):
                count = len(_windows(sensors, hop))
                candidates[f"windows, {name}, hop {hop:g} s, s a window"] = (
                    lambda sensors=sensors, hop=hop: push_all(sensors, 16_384, hop),
                    count,
                )
                candidates[f"replay, {name}, hop {hop:g} s, s a window"] = (
                    lambda sensors=sensors, hop=hop: replay(recogniser, sensors, hop),
                    count,
                )
        candidates["SciPy's windows, steady, hop 1 s, s a window"] = (
            lambda: by_scipy(long["steady"], 1.0),
            hours * 3600 - 4,
        )
        candidates["SciPy on each second, s a window"] = (lambda: live_by_scipy(minutes["steady"]), len(imu))
        random = np.random.default_rng(0)
        names = list(candidates)
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for index in random.permutation(len(names)):
                call, divisor = candidates[names[index]]
                seconds, _ = timed(call)
                taken.setdefault(names[index], []).append(seconds / divisor)
        resident = psutil.Process().memory_info().rss
    figures = {name: spread(taken[name]) for name in names}
    return {"hours": hours, "rounds": rounds, "seconds": figures, "resident_bytes": resident}


def _windows(sensors: tuple[Samples, Samples], hop: float = 1.0) -> list[primus_sdk.Window]:
    stream = WindowStream(hop)
    rows = np.hstack([sensors[0].values, sensors[1].values])
    same = sensors[0].timestamps_ns
    return stream.push(same, rows) + stream.flush()


MEMORY = """
import psutil, numpy as np
process = psutil.Process()
before = process.memory_info().rss
import primus_sdk
imported = process.memory_info().rss
recogniser = primus_sdk.load(runtime={runtime!r})
stream = recogniser.stream(1.0)
times = np.arange(12_000) * 10_000_000
rows = np.random.default_rng(0).normal(0, 1, (12_000, 6)) + [0, 9.8, 0, 0, 0, 0]
for at in range(0, 12_000, 10):
    stream.push(times[at : at + 10], rows[at : at + 10])
print(before, imported, process.memory_info().rss)
"""


def memory(runtime: str) -> dict[str, float] | None:
    """Megabytes of a fresh process: the interpreter with NumPy, after the import, after two minutes of a stream."""
    done = subprocess.run([sys.executable, "-c", MEMORY.format(runtime=runtime)], capture_output=True, text=True)
    if done.returncode:
        return None
    before, imported, streaming = (int(number) / 1e6 for number in done.stdout.split())
    return {"numpy": before, "imported": imported, "streaming": streaming}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=2.0, help="length of the replayed recording (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each candidate (default 5)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    result = measure(options.hours, options.rounds, lambda line: print(line, file=sys.stderr))
    result["megabytes"] = {runtime: memory(runtime) for runtime in ("onnxruntime", "litert")}
    if options.json:
        print(json.dumps(result, indent=2))
        return 0
    show(result)
    return 0


def show(result: dict[str, Any]) -> None:
    """The figures as a table, and the ratios that are claimed."""
    seconds = result["seconds"]
    width = max(map(len, seconds))
    print(f"{'':{width}}  median us     p5      p95   ({result['rounds']} rounds; {result['hours']:g} h replayed)")
    for name, of in seconds.items():
        print(f"{name:{width}}  {of['median'] * 1e6:9.2f}  {of['p5'] * 1e6:7.2f}  {of['p95'] * 1e6:7.2f}")
    alone, batch = (seconds[f"encoder {how}, s a window"]["median"] for how in ("alone", "in batches"))
    print("\npushed samples a second, one core, windows included, no encoder")
    for chunk in (1, 10, 100, 1000):
        print(f"  by {chunk:<5} {1 / seconds[f'push by {chunk}, s a sample']['median']:12,.0f}")
    print("beside the encoder, a window (hop 1 s)")
    for chunk in (10, 100):
        whole = seconds[f"live by {chunk}, s a window"]["median"]
        print(f"  live, pushed by {chunk}: {(whole - alone) / alone:6.1%} of the encoder's time")
    scipy = seconds["SciPy on each second, s a window"]["median"]
    print(f"  SciPy's filter alone on each second of each sensor: {scipy / alone:6.1%} of the encoder's time")
    for name in ("steady", "uneven"):
        windows = seconds[f"windows, {name}, hop 1 s, s a window"]["median"]
        print(
            f"  in large pieces, {name}: {windows / alone:6.1%} of the encoder alone, {windows / batch:6.1%} in batches"
        )
    print("replay, times real time")
    for name in ("steady", "uneven"):
        for hop in (1, 5):
            of = seconds[f"replay, {name}, hop {hop} s, s a window"]
            low, median, high = (hop / of[which] for which in ("p95", "median", "p5"))
            print(f"  {name}, hop {hop} s: {median:8,.0f}   ({low:,.0f} to {high:,.0f})")
    peer = seconds["SciPy's windows, steady, hop 1 s, s a window"]["median"]
    print(f"windows beside SciPy's: {seconds['windows, steady, hop 1 s, s a window']['median'] / peer:.2f} of its time")
    print("resident memory of a fresh process, MB: with NumPy, after the import, after two minutes of a stream")
    for runtime, of in result["megabytes"].items():
        print(f"  {runtime}: " + ("not installed" if of is None else ", ".join(f"{of[k]:.0f}" for k in of)))


if __name__ == "__main__":
    sys.exit(main())
