"""Adding towers to a prepared folder: which embeddings are missing, and what prepared.json says of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from primus_models.errors import PreparedError, TowerError
from primus_models.preparation.embedding import (
    WINDOWS,
    VideoBlock,
    embed_texts,
    embed_videos,
    text_tower,
    video_tower,
)
from primus_models.preparation.manifest import State, publish
from primus_models.preparation.mapping import Mapper, Report
from primus_models.preparation.prepared import CAPTIONS, INDEX, TOWERS
from primus_models.preparation.writing import VIDEO_STARTS, VIDEOS, kept
from primus_models.towers.base import Towers

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")


def check_towers(towers: Towers) -> None:
    """Open all towers.

    Raises:
        TowerError: one cannot be opened, its name is no folder's, or two of one name are different towers.
    """
    found: dict[str, str] = {}
    for tower in (*map(text_tower, towers.text), *map(video_tower, towers.video)):
        if not _NAME.fullmatch(tower.name):
            raise TowerError(f"the tower's name is {tower.name!r}; expected letters, digits, '.', '_', '+' and '-'")
        if found.setdefault(tower.name, tower.identity) != tower.identity:
            raise TowerError(f"two different towers are called {tower.name!r}; rename one's folder")


def add_towers(folder: Path, work: Path, state: State, towers: Towers, mapper: Mapper, report: Report) -> None:
    """Embed what is not embedded yet, and have prepared.json say so after each array.

    work: where blocks are kept until an array is whole.

    Raises:
        TowerError: a tower gives what cannot be used. OutputError: the folder cannot be written.
    """
    for opener in towers.text:
        tower = text_tower(opener)
        record = _record(folder, state, tower.name, tower.identity)
        file = _array(folder, tower.name, "text")
        if not file.is_file() or _name(tower.name, "text") not in state.hashes:
            captions = json.loads((folder / CAPTIONS).read_text("utf-8"))
            sha256 = embed_texts(file, work / f"{tower.name}-{tower.identity}", opener, captions, mapper, report)
            _done(folder, state, tower.name, "text", sha256, record)
    for opener in towers.video:
        seer = video_tower(opener)
        record = _record(folder, state, seer.name, seer.identity)
        file = _array(folder, seer.name, "video")
        if not file.is_file() or _name(seer.name, "video") not in state.hashes or record.get("damaged"):
            blocks, count = _blocks(folder)
            place = work / f"{seer.name}-{seer.identity}"
            result = embed_videos(file, place, opener, blocks, count, mapper, report)
            damaged = {state.recordings[number].name: why for number, why in sorted(result.failed.items())}
            for name, why in damaged.items():
                report.say(f"{name} has no video: {why}")
            record |= {"without": result.without, "damaged": damaged}
            _done(folder, state, seer.name, "video", result.sha256, record)


def _record(folder: Path, state: State, name: str, identity: str) -> dict[str, Any]:
    """What is known of a tower; that of another tower of that name goes."""
    there: dict[str, Any] = state.made["towers"].get(name, {})
    if there.get("identity") == identity:
        return dict(there)
    if there:
        state.made["towers"].pop(name)
        state.hashes = {k: v for k, v in state.hashes.items() if not k.startswith(f"{TOWERS}/{name}/")}
        with kept(folder):
            publish(folder, state)
    shutil.rmtree(folder / TOWERS / name, ignore_errors=True)
    return {"identity": identity}


def _done(folder: Path, state: State, name: str, kind: str, sha256: str, record: dict[str, Any]) -> None:
    state.made["towers"][name] = record
    state.hashes[_name(name, kind)] = sha256
    with kept(folder):
        publish(folder, state)


def _blocks(folder: Path) -> tuple[list[VideoBlock], int]:
    """All windows with a video, in blocks of one recording each; and how many windows there are in all."""
    try:
        videos = json.loads((folder / VIDEOS).read_text("utf-8"))
        recording, starts = np.load(folder / INDEX, mmap_mode="r")[0], np.load(folder / VIDEO_STARTS)
        bounds = np.searchsorted(recording, np.arange(len(videos) + 1))
    except (OSError, ValueError) as error:
        raise PreparedError(f"{folder / VIDEOS} is damaged ({error}); prepare it in another folder") from error
    blocks = [
        VideoBlock(number, row, file, tuple(starts[row : min(row + WINDOWS, int(bounds[number + 1]))].tolist()))
        for number, file in enumerate(videos)
        if file is not None
        for row in range(int(bounds[number]), int(bounds[number + 1]), WINDOWS)
    ]
    return blocks, len(recording)


def _array(folder: Path, name: str, kind: str) -> Path:
    return folder / TOWERS / name / f"{kind}.npy"


def _name(name: str, kind: str) -> str:
    return f"{TOWERS}/{name}/{kind}.npy"
