"""Twenty-four hours of a 200 Hz stream with every fault at once, in minutes; every window against the offline path.

    make soak
    python tests/soak.py --hours 2 --workers 1

One stream takes it all, cut into random pushes: jitter, samples out of order, repeated, lost in bursts, NaN, at the end
of the range, one sensor or both silent, a clock that drifts, jumps, is set back, or is wrong for one sample. Each
hour's windows go to a worker process, which makes the same samples again and gives them to `offline.windows`, a plain
reading of sdk/spec/stream.md. It fails on an exception, a window that differs, a count that differs, or memory of the
streaming process, which makes no samples and checks nothing, that grows by 1 MB or more after the first hour.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import offline
import psutil

from primus_sdk.windowing.windows import Window, WindowStream

MS = 1_000_000
RATE, MINUTE_NS = 200, 60_000 * MS
START = 1_700_000_000_000_000_000
HOP = 1.0
LARGEST_GROWTH = 1 << 20
FAULTS = ("lose", "swap", "repeat", "nan", "saturate", "silence", "set back", "jump", "spike", "far late")


def minute(seed: int, hour: int, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """What both sensors deliver in a minute, in order of arrival; the last five seconds are silent and then in step.

    Where the clock is set back, it is for both, each at a moment of its own. An hour begins with a good minute and ends
    with both sensors there, so that the offline path can take each hour by itself.
    """
    random = np.random.default_rng([seed, hour, number])
    begin = START + (hour * 60 + number) * MINUTE_NS
    drifts = random.normal(0, 2e-4, 2)
    back = int(random.integers(2, 20)) * 1000 * MS if number and random.random() < 0.1 else 0
    sensors = []
    for side in (0, 1):
        count = 55 * RATE
        times = begin + (np.arange(count) * (1e9 / RATE * (1 + drifts[side]))).astype(np.int64) + side * 1_234_567
        times += (random.uniform(-1, 1, count) * (0, 0.2, 2)[int(random.integers(3))] * MS).astype(np.int64)
        seconds = (times - begin) / 1e9
        tones = random.uniform(0.3, 9, (3, 1)), random.uniform(0, 6.3, (3, 1))
        values = 3 * np.sin(2 * np.pi * tones[0] * seconds + tones[1]).T + random.normal(0, 0.3, (count, 3))
        values += [0.0, 9.81 * (side == 0), 0.0]
        if back:
            times[int(random.integers(count // 3, count // 2)) :] -= back
        for _ in range(int(random.integers(0, 7)) if number else 0):
            times, values = broken(str(random.choice(FAULTS)), times, values, random)
        sensors.append((times, values))
    if number % 10 == 4:  # one of them drops out for the rest of the minute
        side = int(random.integers(2))
        times, values = sensors[side]
        keep = int(random.integers(len(times) // 2, len(times)))
        sensors[side] = (times[:keep], values[:keep])
    return sensors


def broken(fault: str, times: np.ndarray, values: np.ndarray, random: Any) -> tuple[np.ndarray, np.ndarray]:
    """Apply one fault somewhere."""
    at, size = int(random.integers(1, len(times) - 700)), int(random.integers(1, 180))
    match fault:
        case "lose" | "silence":
            keep = np.ones(len(times), bool)
            keep[at : at + (size if fault == "lose" else 3 * size)] = False
            return times[keep], values[keep]
        case "swap" | "far late":
            order = np.arange(len(times), dtype=np.float64)
            order[at : at + size] += random.uniform(0, 1.9 if fault == "swap" else 90, size)
            arrival = np.argsort(order, kind="stable")
            return times[arrival], values[arrival]
        case "repeat":
            arrival = np.r_[:at, max(0, at - size % 9) : len(times)]
            return times[arrival], values[arrival]
        case "nan":
            values[at : at + size, int(random.integers(3))] = random.choice([np.nan, np.inf, 1e9])
        case "saturate":
            values[at : at + size, int(random.integers(3))] = 78.4532
        case "jump":  # forward, and never back: within the minute's silence
            times = np.r_[times[:at], times[at:] + int(random.integers(50, 600)) * MS]
        case "set back":  # by less than a reset: the next ones are late
            times = np.r_[times[:at], times[at : at + size] - int(random.integers(20, 900)) * MS, times[at + size :]]
        case "spike":
            times = times.copy()
            times[at] += int(random.integers(-4000, 4000)) * MS
    return times, values


def pieces(sensors: list[tuple[np.ndarray, np.ndarray]], random: Any) -> Iterator[Push]:
    """Both sensors' samples in random pushes, roughly by turns."""
    done = [0, 0]
    while any(done[side] < len(sensors[side][0]) for side in (0, 1)):
        side = 0 if done[0] / len(sensors[0][0]) <= done[1] / len(sensors[1][0]) else 1
        count = int(random.integers(1, (2, 60, 900)[int(random.integers(3))] + 1))
        part = slice(done[side], done[side] + count)
        yield side, sensors[side][0][part], sensors[side][1][part]
        done[side] += count


Push = tuple[int, np.ndarray, np.ndarray]
"""0 for the accelerometer, 1 for the gyroscope; times; values."""


def minute_of_pushes(seed: int, hour: int, number: int) -> Iterator[Push]:
    """A minute cut into pushes."""
    return pieces(minute(seed, hour, number), np.random.default_rng([seed, hour, number, 1]))


def push(stream: WindowStream, side: int, times: np.ndarray, values: np.ndarray) -> list[Window]:
    """Push once, a single sample as most callers do it, and return the windows that come."""
    into = stream.push_gyroscope if side else stream.push_accelerometer
    return into(int(times[0]), values[0].tolist()) if len(times) == 1 else into(times, values)


RECORD = np.dtype([("start", "<i8"), ("quality", "<f8", 6), ("imu", "<f4", (6, 250))])


class Files:
    """A file for each hour's windows, where a worker finds them; takes no memory that grows with them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._record = folder, np.zeros(1, RECORD)
        self._open: dict[int, BinaryIO] = {}

    def save(self, hour: int, window: Window) -> None:
        """Put a window behind those of the hour that are there already."""
        record = self._record[0]
        record["start"], record["imu"] = window.start_ns, window.imu
        record["quality"] = [getattr(window.quality, name) for name in NAMES]
        if hour not in self._open:
            self._open[hour] = (self._folder / f"{hour}.windows").open("ab")
        self._open[hour].write(self._record.data)

    def close(self, hour: int) -> None:
        """Know that an hour has no more windows."""
        self._open.pop(hour).close()


def check_hour(seed: int, hour: int, file: Path) -> dict[str, int]:
    """Compare what the stream gave in an hour with the offline path; the number of windows and of samples dropped."""
    minutes = [minute(seed, hour, number) for number in range(60)]
    sensors = [tuple(np.concatenate([m[side][c] for m in minutes]) for c in (0, 1)) for side in (0, 1)]
    expected = offline.windows([(sensors[0], sensors[1])], offline.Options(hop_s=HOP))
    found = np.fromfile(file, RECORD)
    imu, starts, quality = found["imu"], found["start"], found["quality"]
    assert [w[0] for w in expected.windows] == starts.tolist(), f"hour {hour}: other windows"
    for position, (start, _, values, measured) in enumerate(expected.windows):
        difference = float(np.abs(values - imu[position]).max())
        assert difference <= 1e-5 * max(1.0, float(np.abs(values).max())), f"the window at {start}: {difference}"
        ours = quality[position]
        theirs = [measured[name] for name in NAMES]
        assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-9), f"the window at {start}: {ours} for {theirs}"
    return asdict(expected.dropped) | {"windows": len(starts)}


NAMES = ("coverage", "largest_gap_s", "accelerometer_hz", "gyroscope_hz", "jitter_ms", "saturated")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that check, beside the one that streams")
    options = parser.parse_args()
    return run(options.hours, options.seed, options.workers)


def feed(hours: int, seed: int, samples: Connection) -> None:
    """Send all pushes, each minute's followed by an empty message."""
    for hour in range(hours):
        for number in range(60):
            for side, times, values in minute_of_pushes(seed, hour, number):
                samples.send_bytes(bytes([side]) + times.tobytes() + values.tobytes())
            samples.send_bytes(b"")


def received(samples: Connection) -> Iterator[Push]:
    """A minute of what `feed` sends."""
    while message := samples.recv_bytes():
        count = len(message) // 32  # a time and three values, of 8 bytes each
        times = np.frombuffer(message, np.int64, count, 1)
        yield message[0], times, np.frombuffer(message, np.float64, 3 * count, 1 + 8 * count).reshape(count, 3)


def stream_hours(hours: int, folder: Path, samples: Connection, tell: Connection) -> None:
    """Stream, in a process that does nothing else; tell of each hour when its windows are all saved.

    Tells (hour, resident bytes) of each hour, and in the end what was dropped.
    """
    stream, files, process = WindowStream(HOP), Files(folder), psutil.Process()
    for hour in range(hours):
        begin = START + hour * 60 * MINUTE_NS
        for number in range(60):
            for one in received(samples):
                for window in push(stream, *one):
                    # The last ones of an hour come when the next one ends the silence.
                    files.save(hour - (number == 0 < hour and window.start_ns < begin), window)
            if number == 0 < hour:
                files.close(hour - 1)
                tell.send(("windows", hour - 1))
        gc.collect()
        tell.send(("memory", process.memory_info().rss))
    for window in stream.flush():
        files.save(hours - 1, window)
    files.close(hours - 1)
    tell.send(("windows", hours - 1))
    tell.send(("dropped", stream.dropped))


def run(hours: int, seed: int, workers: int) -> int:
    """Stream and check; 0 where all held."""
    memory: list[int] = []
    began, total = time.monotonic(), Counter[str]()
    fresh = get_context("spawn")  # neither inherits what the other has in memory
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(workers, fresh) as pool:
        listen, tell = fresh.Pipe(duplex=False)
        samples, source = fresh.Pipe(duplex=False)
        streaming = fresh.Process(target=stream_hours, args=(hours, Path(folder), samples, tell), daemon=True)
        feeding = fresh.Process(target=feed, args=(hours, seed, source), daemon=True)
        streaming.start()
        feeding.start()
        for ours in (tell, samples, source):  # so that the end of the other process is the end of the pipe
            ours.close()
        checks, dropped = [], None
        while dropped is None:
            what, value = listen.recv()
            if what == "windows":
                checks.append(pool.submit(check_hour, seed, value, Path(folder) / f"{value}.windows"))
            elif what == "memory":
                memory.append(value)
                spent = time.monotonic() - began
                print(f"hour {len(memory)}: {value / 1e6:.1f} MB, {spent:.0f} s", file=sys.stderr)
            else:
                dropped = value
        streaming.join()
        feeding.join()
        for check in checks:
            total.update(check.result())
    print(f"{total['windows']} windows of {hours} h equal to the offline path; dropped {dropped}")
    for name in ("repeated", "late", "invalid", "unpaired", "short"):
        assert total[name] == getattr(dropped, name), f"{name}: {getattr(dropped, name)} for {total[name]}"
    growth = memory[-1] - memory[0]
    print(f"memory after the first hour {memory[0] / 1e6:.1f} MB, at the end {growth / 1e6:+.2f} MB")
    return 0 if growth < LARGEST_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
