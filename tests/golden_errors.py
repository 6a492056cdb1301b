"""Golden vectors of what is refused, and of what is just not: options, pushes, windows, heads, poses and fits."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import golden
import golden_heads
import golden_inputs
import numpy as np
from golden import floats, table, write_floats, write_table

import primus_sdk
from primus_sdk.calibration.fit import fit_head
from primus_sdk.calibration.mount import MountLearner
from primus_sdk.calibration.pose import check_pose
from primus_sdk.heads.head import Head
from primus_sdk.recogniser import Recogniser


def _scaled(factor: float) -> tuple[float, ...]:
    return (factor, 0.0, 0.0, 0.0, factor, 0.0, 0.0, 0.0, factor)


def _sheared(by: float) -> tuple[float, ...]:
    return (1.0, by, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


OPTIONS: list[tuple[str, Any]] = [
    ("hop_s", 0.03), ("hop_s", 0.0), ("fill_s", 0.01), ("reset_s", 5.0), ("reset_s", 0.05), ("reorder_s", -0.01),
    ("reorder_s", 0.6), ("convention", "windows"), ("accelerometer_unit", "mg"), ("gyroscope_unit", "rpm"),
    ("accelerometer_range", 0.0), ("mount", (1, 0, 0, 0, 1, 0, 0, 0, -1)), ("mount", (2, 0, 0, 0, 1, 0, 0, 0, 1)),
    # Both sides of each limit; fill_s may not be above reset_s, which is 1 s here.
    ("fill_s", 0.02), ("fill_s", 0.0199), ("fill_s", 1.0), ("fill_s", 1.01), ("reset_s", 0.1), ("reset_s", 0.099),
    ("reset_s", 4.0), ("reset_s", 4.01), ("reorder_s", 0.0), ("reorder_s", 0.5), ("reorder_s", 0.51),
    ("hop_s", 0.02), ("hop_s", 86400.0), ("hop_s", 86400.02), ("hop_s", -1.0),
    ("accelerometer_range", 0.001), ("accelerometer_range", -16.0), ("accelerometer_range", float("inf")),
    ("gyroscope_range", 0.001), ("gyroscope_range", 0.0), ("gyroscope_range", -35.0),
    ("gyroscope_range", float("inf")), ("gyroscope_range", float("nan")),
    ("mount", _scaled(1.0004)), ("mount", _scaled(1.0006)), ("mount", _sheared(0.0009)), ("mount", _sheared(0.0011)),
]  # fmt: skip
PUSHES = [
    "a 1,2 0;0;1", "a 4611686018427387904 0;0;1", "a -4611686018427387904 0;0;1", "a 1 0;0", "g 1 0;0;1;2",
    "g 1,2 0;0;1", "a 4611686018427387903 0;0;1", "a -4611686018427387903 0;0;1", "g 1 0;0;1",
]  # fmt: skip
# How many samples have the first acceleration along y, it, that of the others; and likewise the rotation about x.
MADE = [
    "10 42.5 -1.25 0 0 0", "10 42.5 -1.46 0 0 0", "125 20 98 0 0 0", "125 2 120 0 0 0",
    "0 0 9.8 130 34 -100", "0 0 9.8 120 0 36", "0 0 9.8 125 33 36.5", "0 0 9.8 125 34 36.5",
]  # fmt: skip
POSES = [
    "50.0 0.0;99999.0;0.0", "50.0 0.0;-100000.0;0.0", "50.0 0.0;nan;0.0", "50.0 0.0;9.8", "0.0 0.0;9.8;0.0",
    "-50.0 0.0;9.8;0.0", "inf 0.0;9.8;0.0",
]  # fmt: skip
LEARNERS = [5.0, 4.99, 3600.0, 3600.1]
FITS = [1e-9, 9.9e-10, 1000.0, 1000.1]
ROWS = ["0:walk 10:nod", "0:walk 1:walk", "0:walk 0:nod"]
COUNT = (
    len(OPTIONS)
    + len(PUSHES)
    + len(MADE)
    + len(POSES)
    + len(LEARNERS)
    + len(FITS)
    + len(ROWS)
    + len(golden_heads.SMALL)
    + 5
)


def write(root: Path, recogniser: Recogniser) -> None:
    """Make all files and write what the SDK raises for them."""
    folder, head = root / "errors", (root / golden.HEAD).read_bytes()
    window = floats(root / "mount" / "windows.f32", 6, 250)[0]
    broken = window.copy()
    broken[2, 100] = np.nan
    write_floats(folder / "window_in_g.f32", window / golden_inputs.G)
    write_floats(folder / "window_nan.f32", broken)
    other = dataclasses.replace(Head.load(root / golden.HEAD), encoder_sha256="00" * 32)
    other.save(folder / "other_encoder.safetensors")
    (folder / "truncated.safetensors").write_bytes(head[:-100])
    (folder / "flipped.safetensors").write_bytes(head[:-9] + bytes([head[-9] ^ 4]) + head[-8:])
    write_small(root, recogniser)


def write_small(root: Path, recogniser: Recogniser) -> None:
    """Make the small heads, and the table with what the SDK raises for all that is there."""
    for name, make in golden_heads.SMALL.items():
        (root / "errors" / f"{name}.safetensors").write_bytes(make(recogniser.manifest.encoder_sha256))
    asked = [("option", f"{key}={golden.text(value)}") for key, value in OPTIONS]
    asked += [("push", push) for push in PUSHES]
    asked += [("window", name) for name in ("window_in_g.f32", "window_nan.f32")]
    asked += [("made window", made) for made in MADE]
    asked += [("head", f"{name}.safetensors") for name in ("other_encoder", "truncated", "flipped")]
    asked += [("head", f"{name}.safetensors") for name in golden_heads.SMALL]
    asked += [("pose", pose) for pose in POSES]
    asked += [("learner", f"needed_s={golden.text(needed)}") for needed in LEARNERS]
    asked += [("fit", f"c={golden.text(c)}") for c in FITS] + [("fit of rows", rows) for rows in ROWS]
    rows = [[kind, what.replace(",", "|"), raised(root, recogniser, kind, what)] for kind, what in asked]
    write_table(root / "errors" / "errors.csv", ["kind", "what", "error"], rows)


def check(root: Path, recogniser: Recogniser) -> list[str]:
    """What the SDK raises otherwise than it is written, in words."""
    wrong = []
    for row in table(root / "errors" / "errors.csv"):
        if (said := raised(root, recogniser, row["kind"], row["what"].replace("|", ","))) != row["error"]:
            wrong.append(f"{row['kind']} {row['what']}: {said}")
    return wrong


def raised(root: Path, recogniser: Recogniser, kind: str, what: str) -> str:
    """The type of error that one thing gives; none where it gives none."""
    try:
        _try(root, recogniser, kind, what)
    except primus_sdk.PrimusError as error:
        return type(error).__name__
    return "none"


def _try(root: Path, recogniser: Recogniser, kind: str, what: str) -> None:
    key, _, value = what.partition("=")
    if kind == "option":
        golden.stream_of(golden.DEFAULTS | {key: golden.number(value)})
    elif kind == "push":
        sensor, times, values = what.split(" ")
        stream = golden.stream_of(golden.DEFAULTS)
        push = stream.push_accelerometer if sensor == "a" else stream.push_gyroscope
        push([int(time) for time in times.split(",")], [[float(value) for value in values.split(";")]])
    elif kind == "window":
        recogniser.embed(floats(root / "errors" / what, 6, 250)[0])
    elif kind == "made window":
        recogniser.embed(_made(what))
    elif kind == "pose":
        rate, values = what.split(" ")
        check_pose(np.array([[float(value)] * 50 for value in values.split(";")]), rate_hz=float(rate))
    elif kind == "learner":
        MountLearner(float(value))
    elif kind in ("fit", "fit of rows"):
        taken = what if kind == "fit of rows" else "8:walk 9:walk 10:nod 11:nod"
        rows, labels = zip(*(word.split(":") for word in taken.split(" ")), strict=True)
        embeddings = floats(root / "heads" / "embeddings.f32", 512)[list(map(int, rows))]
        c = float(value) if kind == "fit" else None
        fit_head(embeddings, labels, recogniser.manifest.encoder_sha256, c=c)
    else:
        Head.load(root / "errors" / what).check_encoder(recogniser.manifest.encoder_sha256)


def _made(what: str) -> np.ndarray:
    first, one, other, turned, rotation, rest = map(float, what.split(" "))
    window = np.zeros((6, 250), np.float32)
    window[1], window[3] = other, rest
    window[1, : int(first)], window[3, : int(turned)] = one, rotation
    return window
