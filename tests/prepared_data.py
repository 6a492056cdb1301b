"""A small prepared data set: four activities, each of its own rhythm; not every window has a caption or video."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from primus_models.preparation.prepared import Prepared, Take, Tower, manifest_of

LABELS = ("nodding", "running", "sitting", "walking")


def write_prepared(folder: Path, users: int = 6, each: int = 16, seed: int = 0, split: tuple[str, ...] = ()) -> Path:
    random = np.random.default_rng(seed)
    count, seconds = users * each, np.arange(250) / 50
    label = random.integers(0, len(LABELS), count)
    imu = random.normal(0, 0.2, (count, 6, 250)) + np.array([0, 9.8, 0, 0, 0, 0])[:, None]
    for window, kind in zip(imu, label, strict=True):
        window[0] += (kind + 0.3) * np.sin(2 * np.pi * (kind + 0.5) * seconds)
        window[4] += 0.4 * kind * np.sin(2 * np.pi * (kind + 0.5) * seconds)
    caption = np.where(random.random(count) < 0.2, -1, label * 3 + random.integers(0, 3, count))
    meanings = random.normal(0, 1, (len(LABELS), 32))
    text = meanings[np.arange(3 * len(LABELS)) // 3] + 0.3 * random.normal(0, 1, (3 * len(LABELS), 32))
    video = meanings[label] + 0.5 * random.normal(0, 1, (count, 32))
    text, video = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (text, video))
    video[random.random(count) < 0.3] = np.nan
    index = np.stack([np.repeat(np.arange(users), each), np.arange(count) * 5_000_000_000, label, caption])
    takes = tuple(Take(f"take{n}", f"user{n}", split[n] if split else "") for n in range(users))
    captions = [f"{name} {number}" for name in LABELS for number in range(3)]
    towers = {"made": Tower("made", text.astype(np.float32), video.astype(np.float32))}
    (folder / "towers" / "made").mkdir(parents=True)
    np.save(folder / "windows.npy", imu.astype(np.float32))
    np.save(folder / "index.npy", index.astype(np.int64))
    np.save(folder / "towers/made/text.npy", towers["made"].text)
    np.save(folder / "towers/made/video.npy", towers["made"].video)
    (folder / "captions.json").write_text(json.dumps(captions))
    prepared = Prepared("made", imu.astype(np.float32), *index, takes, LABELS, tuple(captions), towers)
    (folder / "prepared.json").write_text(json.dumps(manifest_of(prepared, {}, {})))
    return folder
