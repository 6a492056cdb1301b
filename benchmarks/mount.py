"""The mount learnt from use: where gravity points on each head, and what learning it is worth.

    python benchmarks/mount.py --data classyglass-1AB.tar.xz
    python benchmarks/mount.py --data classyglass-1AB.tar.xz --json

Gravity: for each person of ClassyGlass the direction that `MountLearner` finds in all of their windows (5 s, side by
side), in the sensor's axes, and its angle to REFERENCE_GRAVITY, or to its opposite where the sensor sits upside down.
The mean is that of the people whom the encoder was trained on, those upside down turned about z by a half turn.

Worth: macro F1 of a linear head on k windows of each activity, with the released encoder. The five people whom it never
saw are parted at random into two and three; the head is fitted on one part and tested on the other, and then the parts
change places. A mount is learnt for each person from their recordings in order, without their labels:

    none             as it came
    learnt           from the first 60 s that MountLearner takes
    first minutes    from the first 5 minutes, whatever the wearer does (mean gravity), as a warning

each for the glasses as worn, and tilted by 10 to 25 degrees about a random horizontal axis, drawn for each person and
parting anew. Means over the partings, with the standard error of the mean; differences to `none` are paired.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np

import primus_sdk
from primus_models.evaluation.scores import macro_f1
from primus_sdk.calibration.fit import fit_head
from primus_sdk.calibration.mount import REFERENCE_GRAVITY, MountLearner, aligning
from primus_sdk.recordings import classyglass
from primus_sdk.recordings.windows import windows_of
from primus_sdk.windowing.windows import Window

HELD_OUT = ("5", "10", "15", "20", "25")
SHOTS = (5, 10, 50)
BATCH = 64
MOUNTS = ("none", "learnt", "first minutes")

People = dict[str, list[tuple[str, Window]]]


def read(path: str) -> People:
    """Each person's labelled windows, in order."""
    people: People = {}
    for recording in classyglass.read(path):
        windows = windows_of(recording, 5.0)
        people.setdefault(recording.user, []).extend((recording.label, window) for window in windows)
    return people


def gravity(people: People) -> dict[str, dict[str, object]]:
    """Each person's learnt direction in the sensor's axes, its angle to the reference, and the spread, in degrees."""
    rows: dict[str, dict[str, object]] = {}
    for user, windows in people.items():
        learner = MountLearner()
        for _, window in windows:
            learner.add(window)
        direction = learner.rotation().T @ np.array(REFERENCE_GRAVITY)
        upside_down = bool(direction @ REFERENCE_GRAVITY < 0)
        rows[user] = {
            "direction": direction.tolist(),
            "upside_down": upside_down,
            "degrees": float(np.degrees(np.arccos(min(1.0, abs(direction @ REFERENCE_GRAVITY))))),
            "spread_degrees": learner.spread_degrees,
            "seconds": learner.seconds,
        }
    return rows


def mean_direction(rows: dict[str, dict[str, object]]) -> np.ndarray:
    """Of the people trained on, those upside down turned."""
    turned = [
        np.array(row["direction"]) * ([-1, -1, 1] if row["upside_down"] else 1)
        for user, row in rows.items()
        if user not in HELD_OUT
    ]
    mean = np.mean(turned, axis=0)
    return mean / np.linalg.norm(mean)


def turned(rotation: np.ndarray, imu: np.ndarray) -> np.ndarray:
    return np.concatenate([rotation @ imu[:, :3], rotation @ imu[:, 3:]], axis=1).astype(np.float32)


def learnt(imu: np.ndarray) -> np.ndarray:
    learner = MountLearner()
    for window in imu:
        learner.add(window)
        if learner.progress == 1:
            break
    return learner.rotation()


def from_first_minutes(imu: np.ndarray) -> np.ndarray:
    return aligning(imu[:60, :3].mean(axis=(0, 2), dtype=np.float64))


def tilt(generator: np.random.Generator) -> np.ndarray:
    """By 10 to 25 degrees about a horizontal axis."""
    angle, heading = np.radians(generator.uniform(10, 25)), generator.uniform(0, 2 * np.pi)
    return aligning([np.sin(angle) * np.cos(heading), np.cos(angle), np.sin(angle) * np.sin(heading)])


def f1(embeddings: np.ndarray, labels: np.ndarray, users: np.ndarray, shots: int, seed: int) -> float:
    generator = np.random.default_rng(seed)
    part = np.isin(users, generator.permutation(HELD_OUT)[: len(HELD_OUT) // 2])
    scores = []
    for source in (part, ~part):
        known = np.unique(labels[source])
        picked = [generator.permutation(np.flatnonzero(source & (labels == label)))[:shots] for label in known]
        chosen, tested = np.concatenate(picked), ~source & np.isin(labels, known)
        head = fit_head(embeddings[chosen], labels[chosen].tolist(), "any")
        predicted = np.array(head.labels)[head.probabilities(embeddings[tested]).argmax(axis=1)]
        scores.append(macro_f1(labels[tested], predicted))
    return float(np.mean(scores))


def worth(people: People, partings: int) -> dict[str, dict[str, dict[int, list[float]]]]:
    """Macro F1 by glasses, mount, shots and parting."""
    imu = {user: np.stack([window.imu for _, window in people[user]]) for user in HELD_OUT}
    labels = np.array([label for user in HELD_OUT for label, _ in people[user]])
    users = np.concatenate([[user] * len(people[user]) for user in HELD_OUT])
    scores: dict[str, dict[str, dict[int, list[float]]]] = {
        glasses: {mount: {shots: [] for shots in SHOTS} for mount in MOUNTS} for glasses in ("as worn", "tilted")
    }
    with primus_sdk.load() as recogniser:

        def embedded(windows: dict[str, np.ndarray], mount: str) -> np.ndarray:
            if mount == "learnt":
                windows = {user: turned(learnt(w), w) for user, w in windows.items()}
            elif mount == "first minutes":
                windows = {user: turned(from_first_minutes(w), w) for user, w in windows.items()}
            stack = np.concatenate([windows[user] for user in HELD_OUT])
            return np.concatenate([recogniser.embed(stack[at : at + BATCH]) for at in range(0, len(stack), BATCH)])

        as_worn = {mount: embedded(imu, mount) for mount in MOUNTS}
        for seed in range(partings):
            generator = np.random.default_rng(1000 + seed)
            tilted = {user: turned(tilt(generator), imu[user]) for user in HELD_OUT}
            for mount in MOUNTS:
                for glasses, embeddings in (("as worn", as_worn[mount]), ("tilted", embedded(tilted, mount))):
                    for shots in SHOTS:
                        scores[glasses][mount][shots].append(f1(embeddings, labels, users, shots, seed))
    return scores


def with_error(values: np.ndarray) -> str:
    return f"{values.mean():+.1%} ± {values.std(ddof=1) / np.sqrt(len(values)):.1%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="ClassyGlass: the published folder or its archive")
    parser.add_argument("--partings", type=int, default=8, help="of the people, at random; 2 or more (default 8)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    if arguments.partings < 2:
        parser.error("--partings takes 2 or more")
    people = read(arguments.data)
    rows = gravity(people)
    mean = mean_direction(rows)
    scores = worth(people, arguments.partings)
    if arguments.json:
        print(json.dumps({"gravity": rows, "mean": mean.tolist(), "macro_f1": scores}, indent=2))
        return 0
    for user, row in rows.items():
        x, y, z = row["direction"]
        print(
            f"user {user:>2}: gravity {x:+.2f} {y:+.2f} {z:+.2f}, {row['degrees']:3.0f} degrees off"
            f"{' (upside down)' if row['upside_down'] else ''}, spread {row['spread_degrees']:.0f} degrees, "
            f"{row['seconds']:.0f} s"
        )
    off = np.degrees(np.arccos(mean @ REFERENCE_GRAVITY))
    print(f"mean of the people trained on: {mean.round(3).tolist()}, {off:.0f} degrees off REFERENCE_GRAVITY")
    for glasses, by_mount in scores.items():
        for mount, by_shots in by_mount.items():
            cells = []
            for shots, values in by_shots.items():
                change = with_error(np.array(values) - by_mount["none"][shots])
                cells.append(f"{shots} shots {np.mean(values):.1%}" + ("" if mount == "none" else f" ({change})"))
            print(f"{glasses:8s} {mount:14s} " + ", ".join(cells))
    return 0


if __name__ == "__main__":
    sys.exit(main())
