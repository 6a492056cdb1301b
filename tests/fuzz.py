"""A million broken inputs: whatever a file or a sensor holds, only typed errors come out.

    make fuzz
    python tests/fuzz.py --count 20000 --seed 7 --target head

Four kinds in equal shares: pushes into a stream, heads, bundles, recordings (CSV files, Sensor Logger exports, JSON
lines). Files start as good ones and are mutated. An exception that is no PrimusError, or a warning, fails the run and
prints the seed and number that make it again: `--seed S --first N --count 1 --target T`.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from primus_sdk.bundles import bundle
from primus_sdk.errors import PrimusError
from primus_sdk.heads.head import Head
from primus_sdk.recordings import csv_table, sensor_logger
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import WindowStream

Random = np.random.Generator
ENCODER = "ab" * 32


def mutated(content: bytes, random: Random) -> bytes:
    """A few small wounds: bits, bytes, slices cut out, doubled, moved, swollen, or the end torn off."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 4))):
        size = len(data)
        if size == 0:
            break
        at, length = int(random.integers(size)), int(random.integers(1, min(size, 40) + 1))
        match int(random.integers(7)):
            case 0:
                data[at] ^= 1 << int(random.integers(8))
            case 1:
                data[at] = int(random.integers(256))
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data[at : at + length] = random.bytes(length)
            case 5:
                del data[at:]
            case _:
                data[at:at] = WORDS[int(random.integers(len(WORDS)))]
    return bytes(data)


WORDS = [
    b"nan", b"-inf", b"1e999", b"9" * 40, b"-1", b"0", b"null", b"{}", b"[", b'"', b",", b",,,,", b"\n", b"\r\n", b"\0",
    b"\xff\xfe", b"../../x",
    b"\xf0\x9f\x98\x80", b"1_0", b"0x10", b"true", b"18446744073709551616", b"\x80" * 9, b"[" * 3000,
]  # fmt: skip


def junk_times(random: Random) -> Any:
    """Timestamps of every make, most of them wrong."""
    n = int(random.integers(0, 40))
    return [
        lambda: np.cumsum(random.integers(-(10**8), 10**9, n)),
        lambda: random.integers(-(1 << 63), (1 << 63) - 1, n),
        lambda: np.arange(n) * 10_000_000,
        lambda: int(random.integers(0, 1 << 62)),
        lambda: (1 << int(random.integers(1, 200))) * int(random.choice([-1, 1])),
        lambda: random.random(n),
        lambda: [None] * n,
        lambda: "12",
        lambda: np.arange(n, dtype=np.uint64) + (1 << 63),
        lambda: np.zeros((2, n), np.int64),
        lambda: [[1], [2, 3]],
        lambda: True,
        lambda: np.datetime64("2026-01-01"),
    ][min(int(random.exponential(3)), 12)]()


def junk_values(random: Random, width: int) -> Any:
    """Sample values of every make."""
    n = int(random.integers(0, 40))
    return [
        lambda: random.normal(0, 5, (n, width)),
        lambda: random.normal(0, 5, width).tolist(),
        lambda: tuple(random.normal(0, 5, width).tolist()),
        lambda: np.where(random.random((n, width)) < 0.2, np.nan, 1.0),
        lambda: np.full((n, width), [np.inf, 1e308, -1e308, 1e5, 4.2][int(random.integers(5))]),
        lambda: random.normal(0, 1, (n, int(random.integers(0, 8)))),
        lambda: random.normal(0, 1, (2, n, width)).astype(np.float32),
        lambda: np.full((n, width), "a"),
        lambda: [1, "2", None],
        lambda: None,
        lambda: [(1, 2), (3,)],
        lambda: np.zeros((n, width), np.complex128),
        lambda: random.integers(-(1 << 31), 1 << 31, (n, width)),
        lambda: {"x": 1},
    ][min(int(random.exponential(4)), 13)]()


class Targets:
    """What is fuzzed, each made of good files once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        random = np.random.default_rng(0)
        weight = random.normal(size=(3, 512)).astype(np.float32)
        head = Head(("sit", "stand", "wälk"), weight, np.zeros(3, np.float32), ENCODER, counts={"sit": 3})
        self.head_bytes = head.to_bytes()
        self.bundle_files = made_bundle()
        self.bundle_zip = zipped(self.bundle_files)
        (folder / "whole.zip").write_bytes(self.bundle_zip)
        self.bundle_content = bundle.read(folder / "whole.zip").files
        rows = "".join(f"{t * 0.01:.2f},{t % 7},0.5,9.81,-0.01,{t}e-3,0\n" for t in range(60))
        self.csv = f"t,ax,ay,az,gx,gy,gz\n{rows}".encode()
        times = [1_700_000_000_000_000_000 + t * 10_000_000 for t in range(40)]
        one = "time,seconds_elapsed,z,y,x\n" + "".join(f"{t},{i / 100},9.8,0.1,-0.2\n" for i, t in enumerate(times))
        self.export = zipped({"TotalAcceleration.csv": one.encode(), "Gyroscope.csv": one.encode()})
        self.windows, self.left = WindowStream(0.02), 0

    def stream(self, random: Random) -> None:
        """One push, into a stream that lives for some pushes."""
        if self.left == 0:
            self.left = int(random.integers(1, 60))
            units = Sensors(convention=("android", "ios")[int(random.integers(2))])
            self.windows = WindowStream((0.02, 0.5, 7.0)[int(random.integers(3))], units)
        self.left -= 1
        match int(random.integers(8)):
            case 0 | 1 | 2:
                windows = self.windows.push_accelerometer(junk_times(random), junk_values(random, 3))
            case 3 | 4 | 5:
                windows = self.windows.push_gyroscope(junk_times(random), junk_values(random, 3))
            case 6:
                windows = self.windows.push(junk_times(random), junk_values(random, 6))
            case _:
                windows = self.windows.flush()
        assert all(np.isfinite(window.imu).all() for window in windows), "a window that is not finite"

    def head(self, random: Random) -> None:
        """A head's bytes; whatever is altered must be refused."""
        content = mutated(self.head_bytes, random)
        Head.from_bytes(content)
        assert content == self.head_bytes, "an altered head was taken"

    def bundle(self, random: Random) -> None:
        """A bundle, as a zip or a folder with one file altered."""
        if random.random() < 0.5:
            content = mutated(self.bundle_zip, random)
            path = self.folder / "bundle.zip"
            path.write_bytes(content)
        else:
            path = self.folder / "bundle"
            name = str(random.choice(sorted(self.bundle_files)))
            altered = {**self.bundle_files, name: mutated(self.bundle_files[name], random)}
            for file, content in altered.items():
                (path / file).parent.mkdir(parents=True, exist_ok=True)
                (path / file).write_bytes(content)
        assert bundle.read(path).files == self.bundle_content, "an altered bundle was taken"

    def recording(self, random: Random) -> None:
        """A CSV, or a Sensor Logger export."""
        if random.random() < 0.8:
            columns: list[str | int] = list(csv_table.NAMES) if random.random() < 0.7 else list(range(7))
            csv_table.read(io.BytesIO(mutated(self.csv, random)), "a.csv", columns, "s")
            return
        path = self.folder / "export.zip"
        path.write_bytes(mutated(self.export, random))
        sensor_logger.read(path)


def made_bundle() -> dict[str, bytes]:
    """The small bundle that the SDK's tests use."""
    spec = importlib.util.spec_from_file_location("sdk_conftest", Path(__file__).parent / "sdk" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    files: dict[str, bytes] = module.bundle_files([module.model_entry()], {"encoder.onnx": module.onnx_model()})
    return files


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def run(count: int, seed: int, names: list[str], first: int = 0, report: Callable[[str], None] = print) -> int:
    """Run `count` inputs, shared out among the targets; the number of failures."""
    warnings.simplefilter("error")
    failures, outcomes = 0, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        targets, began, shown = Targets(Path(folder)), time.monotonic(), 0.0
        for number in range(first, first + count):
            name = names[number % len(names)]
            try:
                getattr(targets, name)(np.random.default_rng([seed, number]))
                outcomes[f"{name}: taken"] += 1
            except PrimusError as error:
                outcomes[f"{name}: {type(error).__name__}"] += 1
            except Exception:
                failures += 1
                report(f"--seed {seed} --first {number} --count 1 --target {name}\n{traceback.format_exc()}")
                if failures >= 10:
                    break
            if time.monotonic() - began > shown + 30:
                shown = time.monotonic() - began
                print(f"{number - first + 1} of {count}, {shown:.0f} s", file=sys.stderr)
    for outcome, times in sorted(outcomes.items()):
        report(f"{times:9d}  {outcome}")
    report(f"{failures} failures in {sum(outcomes.values()) + failures} inputs")
    return failures


NAMES = ["stream", "head", "bundle", "recording"]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--target", choices=NAMES, action="append")
    options = parser.parse_args()
    return 1 if run(options.count, options.seed, options.target or NAMES, options.first) else 0


if __name__ == "__main__":
    sys.exit(main())
