"""Golden vectors beside the streams: heads that a fit must reach, rules over windows, mounts, poses and errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import golden
import golden_inputs
import numpy as np
from golden import floats, pairs, table, write_floats, write_pairs, write_table

import primus_sdk
from primus_sdk.calibration.fit import fit_head
from primus_sdk.calibration.mount import MountLearner
from primus_sdk.calibration.pose import check_pose
from primus_sdk.heads.head import Head
from primus_sdk.recogniser import Recogniser
from primus_sdk.streaming.recognition import Rules, SequenceRecogniser
from primus_sdk.windowing.quality import Quality
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import Window

SHOTS = 10
FITS = [("fitted", 0, 40, 0.003, "none"), ("loose", 0, 40, 1.0, "none"), ("prior", 40, 60, 0.02, "fitted")]
SEQUENCES = {
    "plain": {"smoothing": 1, "reject_below": 0.0, "rest_gate": False},
    "rejecting": {"smoothing": 1, "reject_below": 0.5, "rest_gate": False},
    "smoothed": {"smoothing": 3, "reject_below": 0.5, "rest_gate": False},
    "gated": {"smoothing": 1, "reject_below": 0.0, "rest_gate": True},
    "gated_and_smoothed": {"smoothing": 4, "reject_below": 0.45, "rest_gate": True},
}
LABELS = ("nod", "still", "walk")
SAID = ("label", "likeliest", "probability", "held")
POSES: dict[str, tuple[tuple[float, float, float], float, dict[str, Any]]] = {
    # Gravity as the sensor reports it, the gyroscope's reading, and what was declared.
    "right": ((0.3, 9.7, 0.9), 0.01, {}),
    "in_g": ((0.03, 0.99, 0.09), 0.01, {}),
    "not_in_g": ((0.3, 9.7, 0.9), 0.01, {"accelerometer_unit": "g"}),
    "no_gravity": ((0.01, 0.02, 0.0), 0.01, {}),
    "odd_size": ((0.0, 4.2, 0.0), 0.01, {}),
    "downward": ((0.3, -9.7, 0.9), 0.01, {}),
    "other_axis": ((9.7, 0.3, -0.9), 0.01, {}),
    "tilted": ((0.0, 7.8, 5.9), 0.01, {}),
    "gyroscope_bias": ((0.3, 9.7, 0.9), 0.6, {}),
    "gyroscope_in_deg": ((0.3, 9.7, 0.9), 0.5, {}),
    "moving": ((0.3, 9.7, 0.9), 0.01, {}),
    "short": ((0.3, 9.7, 0.9), 0.01, {}),
}
BAD_OPTIONS = [
    ("hop_s", 0.03), ("hop_s", 0.0), ("fill_s", 0.01), ("reset_s", 5.0), ("reset_s", 0.05), ("reorder_s", -0.01),
    ("reorder_s", 0.6), ("convention", "windows"), ("accelerometer_unit", "mg"), ("gyroscope_unit", "rpm"),
    ("accelerometer_range", 0.0), ("mount", (1, 0, 0, 0, 1, 0, 0, 0, -1)), ("mount", (2, 0, 0, 0, 1, 0, 0, 0, 1)),
]  # fmt: skip
BAD_PUSHES = [
    "a 1,2 0;0;1", "a 4611686018427387904 0;0;1", "a -4611686018427387904 0;0;1", "a 1 0;0", "g 1 0;0;1;2",
    "g 1,2 0;0;1",
]  # fmt: skip
COUNT = len(FITS) + len(SEQUENCES) + len(POSES) + 1 + len(BAD_OPTIONS) + len(BAD_PUSHES) + 5


def write(root: Path, recogniser: Recogniser) -> None:
    """Make all inputs and write what the SDK gives for them."""
    for name in ("heads", "sequences", "mount", "poses", "errors"):
        (root / name).mkdir(parents=True)
    _write_heads(root / "heads", recogniser)
    _write_sequences(root / "sequences")
    windows = [_tilted(n) for n in range(14)]
    write_floats(root / "mount" / "windows.f32", windows)
    write_pairs(
        root / "mount" / "mount.txt", {"needed_s": 60.0} | _mount(floats(root / "mount" / "windows.f32", 6, 250))
    )
    _write_poses(root / "poses")
    _write_errors(root, recogniser)


def check(root: Path, recogniser: Recogniser) -> list[str]:
    """What the SDK does not give as it is written, in words."""
    wrong = [f"fit {name}: off by {off}" for name, off in fits(root / "heads").items() if off > 1e-4]
    for name in SEQUENCES:
        rows = table(root / "sequences" / f"{name}.csv")
        for n, (row, said) in enumerate(zip(rows, sequence(root / "sequences", name), strict=True)):
            close = abs(float(row["probability"]) - said[2]) <= 1e-9
            if not close or [row["label"], row["likeliest"], row["held"]] != [*map(golden.text, (*said[:2], said[3]))]:
                wrong.append(f"sequence {name}, window {n}: {said}")
    expected = pairs(root / "mount" / "mount.txt")
    for key, value in _mount(floats(root / "mount" / "windows.f32", 6, 250)).items():
        if not np.allclose(value, expected[key], rtol=0, atol=1e-6):
            wrong.append(f"mount: {key} is {value}")
    for row in table(root / "poses" / "poses.csv"):
        said = list(map(golden.text, pose(root / "poses", row)))
        found = [
            abs(float(a) - float(b)) < 1e-9 if n == 0 else a == b
            for n, (a, b) in enumerate(zip(said, list(row.values())[5:], strict=True))
        ]
        wrong += [] if all(found) else [f"pose {row['name']}: {said}"]
    for row in table(root / "errors" / "errors.csv"):
        if (said := raised(root, recogniser, row["kind"], row["what"].replace("|", ","))) != row["error"]:
            wrong.append(f"{row['kind']} {row['what']}: {said}")
    return wrong


# -- Heads


def _windows_of(kind: str, seed: int) -> np.ndarray:
    random = np.random.default_rng([9, seed])
    noise = random.normal(0, 1, (250, 6)) * ([0.05] * 3 + [0.01] * 3) * (0.2 if kind == "still" else 1)
    return (golden_inputs.motion(kind, np.arange(250) / 50, seed) + noise).T.astype(np.float32)


def _write_heads(folder: Path, recogniser: Recogniser) -> None:
    kinds = [kind for kind in ("walk", "nod", "turn", "still") for _ in range(SHOTS)] + ["walk"] * 8 + ["run"] * 12
    write_floats(folder / "embeddings.f32", [recogniser.embed(_windows_of(kind, n)) for n, kind in enumerate(kinds)])
    (folder / "labels.txt").write_text("".join(f"{kind}\n" for kind in kinds), "utf-8", newline="\n")
    write_table(folder / "fits.csv", ["name", "first", "last", "c", "prior"], FITS)
    for name, head in _fitted(folder, recogniser.manifest.encoder_sha256).items():
        head.save(folder / f"{name}.safetensors")
        write_table(
            folder / f"{name}.csv", head.labels, head.probabilities(floats(folder / "embeddings.f32", 512)).tolist()
        )


def _fitted(folder: Path, encoder: str) -> dict[str, Head]:
    """Each of fits.csv, on the rows that it names."""
    embeddings, heads = floats(folder / "embeddings.f32", 512), dict[str, Head]()
    labels = (folder / "labels.txt").read_text("utf-8").split()
    for row in table(folder / "fits.csv"):
        part = slice(int(row["first"]), int(row["last"]))
        heads[row["name"]] = fit_head(
            embeddings[part],
            labels[part],
            encoder,
            c=float(row["c"]),
            prior=heads.get(row["prior"]),
            created="2025-01-01",
        )
    return heads


def fits(folder: Path) -> dict[str, float]:
    """How far the probabilities of our fit, and of the head that is kept, lie from those written, at most."""
    embeddings, off = floats(folder / "embeddings.f32", 512), {}
    encoder = Head.load(folder / "fitted.safetensors").encoder_sha256
    for name, head in _fitted(folder, encoder).items():
        written = [[float(row[label]) for label in head.labels] for row in table(folder / f"{name}.csv")]
        kept = Head.load(folder / f"{name}.safetensors")
        off[name] = max(float(np.abs(one.probabilities(embeddings) - written).max()) for one in (head, kept))
    return off


# -- Rules over windows


def _write_sequences(folder: Path) -> None:
    random = np.random.default_rng(4)
    powers = np.exp(random.normal(0, 1.2, (24, 3)))
    values = np.round(powers / powers.sum(axis=1, keepdims=True), 3)
    values[:, 2] = np.round(1 - values[:, 0] - values[:, 1], 3)
    values[1], values[2] = (0.3, 0.2, 0.5), (0.4, 0.4, 0.2)  # as much as is asked for; and two as likely
    still = [n in (3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 20, 21, 22) for n in range(24)]
    rows = [[still[n], n in (9, 13), int(n >= 21), *values[n].tolist()] for n in range(24)]
    for name, options in SEQUENCES.items():
        write_pairs(folder / f"{name}.txt", options)
        header = ["is_still", "after_reset", "head", *LABELS]
        write_table(folder / f"{name}.csv", header, rows)
        said = sequence(folder, name)
        write_table(
            folder / f"{name}.csv", [*header, *SAID], [[*row, *more] for row, more in zip(rows, said, strict=True)]
        )


def sequence(folder: Path, name: str) -> list[list[Any]]:
    """Label, likeliest, its probability and held, of each window."""
    rows, options = table(folder / f"{name}.csv"), pairs(folder / f"{name}.txt")
    values = np.array([[float(row[label]) for label in LABELS] for row in rows])
    # An embedding that is its window's number, and heads that look it up.
    heads = [
        SimpleNamespace(labels=LABELS, mount=None, probabilities=lambda e: values[e[..., 0].astype(int)]) for _ in "ab"
    ]
    numbered: Callable[[Any], np.ndarray] = lambda imu: np.full(512, np.asarray(imu)[0, 0], np.float32)  # noqa: E731
    fake: Any = SimpleNamespace(head=heads[0], closed=False, embed=numbered)
    rules = Rules(int(options["smoothing"]), options["reject_below"], bool(options["rest_gate"]))
    recogniser, said = SequenceRecogniser(fake, rules, None), []
    for n, row in enumerate(rows):
        fake.head = heads[int(row["head"])]
        quality = Quality(1.0, 0.02, 50.0, 50.0, 0.0, 0.0, row["is_still"] == "1", row["after_reset"] == "1")
        done = recogniser.one(Window(np.full((6, 250), n, np.float32), n, n + 5, quality))
        assert done.prediction is not None
        said.append([done.prediction.label, done.prediction.likeliest, done.prediction.probability, done.held])
    return said


# -- Mount and pose


def _tilted(n: int) -> np.ndarray:
    turn = np.array(golden_inputs.TILT).reshape(3, 3).T
    window = _windows_of("walk" if n != 5 else "still", 100 + n)
    return np.vstack([turn @ window[:3], turn @ window[3:]]).astype(np.float32)


def _mount(windows: np.ndarray) -> dict[str, Any]:
    learner = MountLearner(60.0)
    served = [learner.add(window) for window in windows]
    rotation = tuple(learner.rotation().ravel().tolist())
    return {
        "served": sum(served),
        "seconds": learner.seconds,
        "spread_degrees": learner.spread_degrees,
        "rotation": rotation,
    }


def _write_poses(folder: Path) -> None:
    rows = []
    for number, (name, (gravity, turning, declared)) in enumerate(POSES.items()):
        random = np.random.default_rng([3, number])
        count = 30 if name == "short" else 75
        noise = np.full((count, 6), [0.01] * 3 + [0.002] * 3) * random.normal(0, 1, (count, 6))
        noise[:, :3] *= 2.0 * (60 if name == "moving" else 1) * (0.1 if name == "in_g" else 1)
        noise[:, 3:] *= 60 if name == "gyroscope_in_deg" else 1
        samples = np.round(noise + np.array([*gravity, turning, 0.0, 0.0]), 5)
        write_table(folder / f"{name}.csv", ["ax", "ay", "az", "gx", "gy", "gz"], samples.tolist())
        sensors = Sensors(**declared)
        row = {"name": name, "rate_hz": "50.0", "accelerometer_unit": sensors.accelerometer_unit}
        row |= {"gyroscope_unit": sensors.gyroscope_unit, "convention": sensors.convention}
        rows.append([*row.values(), *pose(folder, row)])
    said = [
        "gravity_mps2",
        "findings",
        "suggested_accelerometer",
        "suggested_gyroscope",
        "suggested_convention",
        "suggested_mount",
    ]
    write_table(folder / "poses.csv", [*row, *said], rows)


def pose(folder: Path, row: dict[str, str]) -> list[Any]:
    """Gravity's size, the findings' codes, and the sensors that are suggested."""
    sensors = Sensors(row["accelerometer_unit"], row["gyroscope_unit"], row["convention"])  # type: ignore[arg-type]
    samples = np.array([[float(word) for word in line.values()] for line in table(folder / f"{row['name']}.csv")]).T
    found = check_pose(
        sensors.accelerometer_matrix() @ samples[:3],
        sensors.gyroscope_matrix() @ samples[3:],
        sensors=sensors,
        rate_hz=float(row["rate_hz"]),
    )
    new = found.suggested
    mount = "none" if new.mount is None else " ".join(f"{value:g}" for value in np.ravel(new.mount) + 0.0)
    codes = "; ".join(finding.code for finding in found.findings) or "none"
    return [found.gravity_mps2, codes, new.accelerometer_unit, new.gyroscope_unit, new.convention, mount]


# -- Errors


def _write_errors(root: Path, recogniser: Recogniser) -> None:
    window = floats(root / "mount" / "windows.f32", 6, 250)[0]
    head = (root / golden.HEAD).read_bytes()
    broken = window.copy()
    broken[2, 100] = np.nan
    write_floats(root / "errors" / "window_in_g.f32", window / golden_inputs.G)
    write_floats(root / "errors" / "window_nan.f32", broken)
    other = dataclasses.replace(Head.load(root / golden.HEAD), encoder_sha256="00" * 32)
    other.save(root / "errors" / "other_encoder.safetensors")
    (root / "errors" / "truncated.safetensors").write_bytes(head[:-100])
    (root / "errors" / "flipped.safetensors").write_bytes(head[:-9] + bytes([head[-9] ^ 4]) + head[-8:])
    asked = [("option", f"{key}={golden.text(value).replace(',', '|')}") for key, value in BAD_OPTIONS]
    asked += [("push", push.replace(",", "|")) for push in BAD_PUSHES]
    asked += [("window", name) for name in ("window_in_g.f32", "window_nan.f32")]
    asked += [("head", f"{name}.safetensors") for name in ("other_encoder", "truncated", "flipped")]
    rows = [[kind, what, raised(root, recogniser, kind, what.replace("|", ","))] for kind, what in asked]
    write_table(root / "errors" / "errors.csv", ["kind", "what", "error"], rows)


def raised(root: Path, recogniser: Recogniser, kind: str, what: str) -> str:
    """The type of error that one malformed thing gives; empty where it gives none."""
    try:
        if kind == "option":
            key, value = what.split("=")
            golden.stream_of(golden.DEFAULTS | {key: golden.number(value)})
        elif kind == "push":
            sensor, times, values = what.split(" ")
            stream = golden.stream_of(golden.DEFAULTS)
            push = stream.push_accelerometer if sensor == "a" else stream.push_gyroscope
            push([int(time) for time in times.split(",")], [[float(value) for value in values.split(";")]])
        elif kind == "window":
            recogniser.embed(floats(root / "errors" / what, 6, 250)[0])
        else:
            Head.load(root / "errors" / what).check_encoder(recogniser.manifest.encoder_sha256)
    except primus_sdk.PrimusError as error:
        return type(error).__name__
    return ""
