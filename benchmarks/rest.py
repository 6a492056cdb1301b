"""Rest on real heads: which windows count as still, what holding the last state over them costs, and the pose check.

    python benchmarks/rest.py --data classyglass-1AB.tar.xz
    python benchmarks/rest.py --data classyglass-1AB.tar.xz --json

Windows a second apart, as a stream gives them. The head is fitted on the people that the encoder was trained on (200
windows of each activity); figures are of the five held out, and of everybody where it says so.

Still windows, by activity. Holding: each person's recordings one after the other, as one stream without a reset; the
first still window is encoded, later ones repeat its label until one is not still. `other activity` is the share of the
held windows whose true activity is not that of the encoded one.

ClassyGlass holds no sleep; glasses that lie on a table (in "glasses on-off") are what comes nearest.

The pose check, on the first second of every tenth window, as if each had been the still pose: how many are at rest, and
of these how many show each mistake when it is made. Gravity's direction is left out of it: sensors sit all ways here.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np

import primus_sdk
from primus_sdk.calibration.fit import fit_head
from primus_sdk.calibration.pose import check_pose
from primus_sdk.recordings import classyglass
from primus_sdk.recordings.windows import windows_of
from primus_sdk.windowing import motion
from primus_sdk.windowing.sensors import STANDARD_GRAVITY

HELD_OUT = ("5", "10", "15", "20", "25")
SHOTS, BATCH = 200, 64

MISTAKES: dict[str, tuple[float, float, str]] = {
    "none made": (1.0, 1.0, ""),
    "g as m/s^2": (1 / STANDARD_GRAVITY, 1.0, "in g"),
    "m/s^2 as g": (STANDARD_GRAVITY, 1.0, "not in g"),
    "gravity missing": (0.0, 1.0, "no gravity"),
    "deg/s as rad/s": (1.0, 180 / np.pi, "gyroscope in deg/s"),
}
"""What was done to acceleration and rotation, and the code that should say so."""
DIRECTION = {"downward", "axis", "tilt"}


def read(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows `(n, 6, 250)`, labels and users."""
    imu, labels, users = [], [], []
    for recording in classyglass.read(path):
        windows = [window.imu for window in windows_of(recording, 1.0)]
        imu += windows
        labels += [recording.label] * len(windows)
        users += [recording.user] * len(windows)
    return np.stack(imu), np.array(labels), np.array(users)


def embed(imu: np.ndarray) -> np.ndarray:
    with primus_sdk.load() as recogniser:
        return np.concatenate([recogniser.embed(imu[at : at + BATCH]) for at in range(0, len(imu), BATCH)])


def shown(still: np.ndarray, users: np.ndarray) -> np.ndarray:
    """For each window, which one's state a gate shows: its own, or that of the first of its still bout."""
    source = np.arange(len(still))
    for at in range(1, len(still)):
        if still[at] and still[at - 1] and users[at] == users[at - 1]:
            source[at] = source[at - 1]
    return source


def holding(
    chosen: np.ndarray, still: np.ndarray, labels: np.ndarray, users: np.ndarray, predicted: np.ndarray
) -> dict:
    source = shown(still, users)
    held = (source != np.arange(len(still))) & chosen
    return {
        "windows": int(chosen.sum()),
        "still": float(still[chosen].mean()),
        "held": float(held.sum() / chosen.sum()),
        "other_activity": float((labels[source] != labels)[held].mean()),
        "accuracy": float((predicted == labels)[chosen].mean()),
        "accuracy_holding": float((predicted[source] == labels)[chosen].mean()),
    }


def pose_check(imu: np.ndarray) -> dict[str, Any]:
    seconds = imu[::10, :, :50].astype(np.float64)
    rest = [
        second for second in seconds if all(f.code != "moving" for f in check_pose(second[:3], second[3:]).findings)
    ]
    found: dict[str, float] = {}
    for name, (acceleration, rotation, code) in MISTAKES.items():
        hits = 0
        for second in rest:
            gravity = second[:3].mean(axis=1, keepdims=True)
            moved = second[:3] - gravity if code == "no gravity" else second[:3] * acceleration
            codes = {finding.code for finding in check_pose(moved, second[3:] * rotation).findings} - DIRECTION
            hits += code in codes if code else not codes
        found[name] = hits / len(rest)
    return {"seconds": len(seconds), "at_rest": len(rest) / len(seconds), "told": found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="ClassyGlass: the published folder or its archive")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    imu, labels, users = read(arguments.data)
    still, embeddings, out = motion.still(imu), embed(imu), np.isin(users, HELD_OUT)
    shuffled = np.random.default_rng(0).permutation(np.flatnonzero(~out))
    picked = np.concatenate([shuffled[labels[shuffled] == label][:SHOTS] for label in np.unique(labels)])
    head = fit_head(embeddings[picked], labels[picked].tolist(), "any")
    predicted = np.array(head.labels)[head.probabilities(embeddings).argmax(axis=1)]
    figures = {
        "still_by_activity": {str(label): float(still[labels == label].mean()) for label in np.unique(labels)},
        "holding": {
            "held-out people": holding(out, still, labels, users, predicted),
            "everybody": holding(np.ones(len(out), bool), still, labels, users, predicted),
        },
        "pose_check": pose_check(imu),
    }
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return 0
    print(f"still: below {motion.STILL_ACCELERATION} m/s^2 and {motion.STILL_ROTATION} rad/s")
    for label, share in figures["still_by_activity"].items():
        print(f"  {label:24s} {share:7.2%}")
    for who, row in figures["holding"].items():
        print(
            f"{who}: {row['windows']} windows, {row['still']:.2%} still, {row['held']:.2%} held, of which other "
            f"activity {row['other_activity']:.2%}; accuracy {row['accuracy']:.2%}, "
            f"holding {row['accuracy_holding']:.2%}"
        )
    pose = figures["pose_check"]
    print(f"pose check: {pose['seconds']} seconds, {pose['at_rest']:.1%} at rest; told right where the mistake is")
    for name, share in pose["told"].items():
        print(f"  {name:24s} {share:7.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
