"""The golden vectors in sdk/spec/golden: read, made and checked. How to read them is told in sdk/spec/golden.md.

python tests/golden.py --check   does the SDK still give what is written there?
python tests/golden.py --write   write what it gives now (inputs included), to be reviewed as data
python tests/golden.py --table   what each case holds
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import golden_inputs
import golden_limits
import numpy as np

from primus_sdk.heads.head import Head
from primus_sdk.recogniser import Recogniser, load
from primus_sdk.windowing.quality import Dropped, FaultPolicy, Quality
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import Window, WindowStream

FOLDER = Path(__file__).resolve().parents[1] / "sdk" / "spec" / "golden"
HEAD = "heads/fitted.safetensors"
DEFAULTS = {
    "hop_s": 1.0,
    "accelerometer_unit": "m/s^2",
    "gyroscope_unit": "rad/s",
    "convention": "android",
    "mount": None,
    "accelerometer_range": None,
    "gyroscope_range": None,
    "fill_s": 0.1,
    "reset_s": 1.0,
    "reorder_s": 0.01,
}
FIELDS = Quality._fields
FLAGS = ("still", "after_reset")
# A line of samples.csv: the sensor, a timestamp, three values (six where gravity comes apart); None is a flush.
Line = tuple[str, int, list[float]] | None


@dataclass
class Expected:
    """What a case must give: windows with times and qualities, embeddings (n, 512), probabilities (n, K)."""

    windows: list[Window]
    dropped: Dropped
    embeddings: np.ndarray
    probabilities: np.ndarray


def folders() -> list[Path]:
    """Every stream case, by name."""
    return sorted(path.parent for path in (FOLDER / "streams").glob("*/samples.csv"))


# -- Text and numbers


def text(value: Any) -> str:
    """As a file spells it: `none`, 0 and 1 for no and yes, the shortest digits that give the number back."""
    if value is None:
        return "none"
    if isinstance(value, (tuple, list)):
        return ",".join(map(text, value))
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)


def number(word: str) -> Any:
    """What `text` spelled."""
    if "," in word:
        return tuple(float(part) for part in word.split(","))
    try:
        return None if word == "none" else float(word)
    except ValueError:
        return word


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a comma-separated file with a header."""
    header, *rows = path.read_text("utf-8").splitlines()
    names = header.split(",")
    assert len(set(names)) == len(names), f"{path}: two columns of one name"
    return [dict(zip(names, row.split(","), strict=True)) for row in rows]


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    path.write_text("".join(",".join(map(text, row)) + "\n" for row in [header, *rows]), "utf-8", newline="\n")


def write_pairs(path: Path, values: dict[str, Any]) -> None:
    path.write_text("".join(f"{key}={text(value)}\n" for key, value in values.items()), "utf-8", newline="\n")


def pairs(path: Path) -> dict[str, Any]:
    """A file of key=value lines."""
    return {key: number(value) for key, value in (line.split("=", 1) for line in path.read_text("utf-8").splitlines())}


def floats(path: Path, *shape: int) -> np.ndarray:
    """Raw little-endian float32."""
    return np.frombuffer(path.read_bytes(), "<f4").reshape(-1, *shape)


def write_floats(path: Path, values: Any) -> None:
    path.write_bytes(np.asarray(values).astype("<f4").tobytes())


# -- A case


def read_samples(folder: Path) -> list[Line]:
    lines: list[Line] = []
    for line in (folder / "samples.csv").read_text("utf-8").splitlines():
        sensor, *words = line.split(",")
        lines.append(None if sensor == "flush" else (sensor, int(words[0]), [float(word) for word in words[1:]]))
    return lines


def samples_of(case: golden_inputs.Case) -> list[Line]:
    """In the order of arrival, a flush at the end (and in between)."""
    arrivals = [
        (row.arrival, name, row) for name, rows in (("a", case.accelerometer), ("g", case.gyroscope)) for row in rows
    ]
    lines: list[Line] = []
    flushed = case.flush_at is None
    for arrival, name, row in sorted(arrivals, key=lambda item: item[:2]):
        if not flushed and arrival >= golden_inputs.BOOT + (case.flush_at or 0):
            lines.append(None)
            flushed = True
        lines.append((name, row.t, row.values))
    return [*lines, None]


def stream_of(options: dict[str, Any]) -> WindowStream:
    mount = options["mount"]
    sensors = Sensors(
        options["accelerometer_unit"],
        options["gyroscope_unit"],
        options["convention"],
        None if mount is None else np.array(mount).reshape(3, 3),
        options["accelerometer_range"],
        options["gyroscope_range"],
    )
    return WindowStream(
        options["hop_s"], sensors, FaultPolicy(options["fill_s"], options["reset_s"], options["reorder_s"])
    )


def chunks(lines: list[Line], sizes: Iterator[int]) -> Iterator[list[Line]]:
    """The lines cut into pieces of these sizes; a flush stands alone."""
    piece: list[Line] = []
    size = next(sizes)
    for line in lines:
        if line is None or len(piece) == size:
            if piece:
                yield piece
            piece, size = [], next(sizes)
        if line is None:
            yield [None]
        else:
            piece.append(line)
    if piece:
        yield piece


def push(stream: WindowStream, piece: list[Line]) -> list[Window]:
    """Push a piece: each sensor's samples at once (a single sample as plain numbers)."""
    windows: list[Window] = []
    for name, method in (("a", stream.push_accelerometer), ("g", stream.push_gyroscope)):
        mine = [line for line in piece if line is not None and line[0] == name]
        if not mine:
            continue
        times, values = [line[1] for line in mine], np.array([line[2] for line in mine])
        arguments: list[Any] = [times, *np.split(values, values.shape[1] // 3, axis=1)]
        if len(mine) == 1:
            arguments = [times[0], *(part[0].tolist() for part in arguments[1:])]
        windows += method(*arguments)
    return windows


def run(options: dict[str, Any], lines: list[Line], sizes: Iterator[int]) -> tuple[list[Window], Dropped]:
    """What the SDK gives for these samples in pushes of these sizes."""
    stream, windows = stream_of(options), []
    for piece in chunks(lines, sizes):
        windows += stream.flush() if piece == [None] else push(stream, piece)
    return windows, stream.dropped


def write_expected(folder: Path, expected: Expected, labels: Sequence[str]) -> None:
    rows = [
        [window.start_ns, window.end_ns, *(getattr(window.quality, name) for name in FIELDS)]
        for window in expected.windows
    ]
    write_table(folder / "windows.csv", ["start_ns", "end_ns", *FIELDS], rows)
    write_floats(folder / "windows.f32", [window.imu for window in expected.windows])
    write_floats(folder / "embeddings.f32", expected.embeddings)
    write_table(folder / "probabilities.csv", labels, expected.probabilities.tolist())
    write_pairs(folder / "dropped.txt", expected.dropped._asdict())


def read_expected(folder: Path) -> Expected:
    rows = table(folder / "windows.csv")
    windows = []
    for row, imu in zip(rows, floats(folder / "windows.f32", 6, 250), strict=True):
        quality = {name: row[name] == "1" if name in FLAGS else float(row[name]) for name in FIELDS}
        windows.append(Window(imu, int(row["start_ns"]), int(row["end_ns"]), Quality(**quality)))
    dropped = Dropped(**{key: int(value) for key, value in pairs(folder / "dropped.txt").items()})
    probabilities = np.array([[float(word) for word in row.values()] for row in table(folder / "probabilities.csv")])
    return Expected(windows, dropped, floats(folder / "embeddings.f32", 512), probabilities)


def compute(recogniser: Recogniser, head: Head, folder: Path) -> Expected:
    """What the SDK gives for a folder's samples, all pushed at once."""
    windows, dropped = run(pairs(folder / "options.txt"), read_samples(folder), iter(lambda: 1 << 30, 0))
    embeddings = np.array([recogniser.embed(window) for window in windows], np.float32).reshape(-1, 512)
    return Expected(windows, dropped, embeddings, head.probabilities(embeddings))


def write_case(folder: Path, case: golden_inputs.Case, recogniser: Recogniser, head: Head) -> None:
    """A case's input, and what the SDK gives for it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pairs(folder / "options.txt", DEFAULTS | case.options)
    lines = [
        "flush" if line is None else ",".join(map(text, [line[0], line[1], *line[2]])) for line in samples_of(case)
    ]
    (folder / "samples.csv").write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
    write_expected(folder, compute(recogniser, head, folder), head.labels)


# -- Agreement, by the tolerances of golden.md


def difference(ours: Expected, golden: Expected, head: Head) -> str:
    """What differs by more than an SDK may; empty where nothing does."""
    if len(ours.windows) != len(golden.windows) or ours.dropped != golden.dropped:
        return f"{len(ours.windows)} windows, {ours.dropped}; expected {len(golden.windows)}, {golden.dropped}"
    for n, (window, expected) in enumerate(zip(ours.windows, golden.windows, strict=True)):
        if (window.start_ns, window.end_ns) != (expected.start_ns, expected.end_ns):
            return f"window {n} is from {window.start_ns}; expected {expected.start_ns}"
        for name in FIELDS:
            one, other = getattr(window.quality, name), getattr(expected.quality, name)
            if abs(one - other) > 1e-9:
                return f"window {n}: {name} is {one}; expected {other}"
        if (off := float(np.abs(window.imu - expected.imu).max())) > 1e-5:
            return f"window {n} is off by {off}"
    for n, (one, other) in enumerate(zip(ours.embeddings, golden.embeddings, strict=True)):
        size = math.sqrt(float(np.mean(np.square(other))))
        cosine = float(one @ other) / math.sqrt(float(one @ one) * float(other @ other))
        if cosine < 0.9998 or math.sqrt(float(np.mean(np.square(one - other)))) > 0.02 * size:
            return f"embedding {n} differs: cosine {cosine}"
    if not len(golden.windows):
        return ""
    off = float(np.abs(head.probabilities(golden.embeddings) - golden.probabilities).max(initial=0))
    if off > 1e-4:
        return f"probabilities of the golden embeddings are off by {off}"
    off = float(np.abs(ours.probabilities - golden.probabilities).max(initial=0))
    return f"probabilities are off by {off}" if off > 1e-2 else ""


def main() -> int:
    """See the module's first lines."""
    import golden_rules  # here, as it reads and writes by this module's functions

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_mutually_exclusive_group(required=True)
    for name in ("check", "write", "table"):
        group.add_argument(f"--{name}", action="store_true")
    chosen = parser.parse_args()
    recogniser = load(runtime="onnxruntime")
    if chosen.write:
        shutil.rmtree(FOLDER, ignore_errors=True)
        golden_rules.write(FOLDER, recogniser)
        head = Head.load(FOLDER / HEAD)
        for case in [*golden_inputs.cases(), *golden_limits.cases()]:
            write_case(FOLDER / "streams" / case.name, case, recogniser, head)
    head, wrong = Head.load(FOLDER / HEAD), golden_rules.check(FOLDER, recogniser)
    for folder in folders():
        golden = read_expected(folder)
        if chosen.table:
            print(f"{folder.name:34} {len(golden.windows):3} windows  {golden.dropped}")
            for window in golden.windows[:: max(1, len(golden.windows) // 3)]:
                print(f"    {(window.start_ns % 10**13) / 1e9:9.2f} s  {window.quality}")
        elif reason := difference(compute(recogniser, head, folder), golden, head):
            wrong.append(f"{folder.name}: {reason}")
    print("\n".join(wrong) or f"{len(folders())} streams and {golden_rules.COUNT} other vectors agree", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
