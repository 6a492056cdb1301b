"""What prepared.json says, between a run that wrote it and the next that adds to it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from primus_models.errors import PreparedError, PreparedNotFoundError
from primus_models.preparation.prepared import (
    CAPTIONS,
    FORMAT,
    INDEX,
    MANIFEST,
    SCHEMA_VERSION,
    TOWERS,
    WINDOWS,
    Prepared,
    Take,
    Tower,
    load,
    manifest_of,
)
from primus_sdk.files import write_atomically


@dataclass
class State:
    """A prepared folder without its arrays.

    left_out: of the takes; what a tower could not see comes on top of it. made: `options` of the data set, `takes` (a
    hash of their list), `failed` and `empty` (names), and by tower its `identity`, and once videos were embedded
    `without` (windows) and `damaged` (by take, why).
    """

    source: str
    recordings: list[Take]
    labels: tuple[str, ...]
    left_out: dict[str, str]
    made: dict[str, Any]
    hashes: dict[str, str] = field(default_factory=dict)


def recorded(folder: Path) -> State | None:
    """The state of a folder; none where preparing did not come to its end, or the arrays are damaged.

    Raises:
        PreparedError: it is of another version, or something else than `prepare` wrote it.
    """
    try:
        prepared = load(folder)
    except PreparedNotFoundError:
        return None
    except PreparedError:
        if _kind(folder) not in ((FORMAT, SCHEMA_VERSION), None):
            raise  # a newer version's: it is not for this one to write over
        return None
    said = json.loads((folder / MANIFEST).read_text("utf-8"))
    made, hashes = said.get("made"), said.get("sha256")
    if not (isinstance(made, dict) and {"options", "takes", "failed", "empty", "towers"} <= set(made)):
        raise PreparedError(f"{folder} was prepared by something else than primus-prepare; give another folder")
    seen = {left for tower in made["towers"].values() for left in _names(tower)}
    left_out = {name: why for name, why in prepared.left_out.items() if name not in seen}
    return State(prepared.source, list(prepared.recordings), prepared.labels, left_out, made, dict(hashes or {}))


def publish(folder: Path, state: State) -> None:
    """Write prepared.json, the last file.

    Raises:
        OutputError: the folder cannot be written.
    """
    index = np.load(folder / INDEX, mmap_mode="r")
    towers = {name: _tower(folder, name) for name in sorted(state.made["towers"])}
    damaged = {
        f"{take} video": why for t in state.made["towers"].values() for take, why in t.get("damaged", {}).items()
    }
    prepared = Prepared(
        state.source,
        np.load(folder / WINDOWS, mmap_mode="r"),
        index[0],
        index[1],
        index[2],
        index[3],
        tuple(state.recordings),
        state.labels,
        tuple(json.loads((folder / CAPTIONS).read_text("utf-8"))),
        towers,
        dict(sorted({**state.left_out, **damaged}.items())),
    )
    manifest = manifest_of(prepared, dict(sorted(state.hashes.items())), state.made)
    write_atomically(folder / MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())


def _tower(folder: Path, name: str) -> Tower:
    text, video = (folder / TOWERS / name / f"{kind}.npy" for kind in ("text", "video"))
    return Tower(name, *(np.load(file, mmap_mode="r") if file.is_file() else None for file in (text, video)))


def _names(tower: dict[str, Any]) -> list[str]:
    return [f"{take} video" for take in tower.get("damaged", {})]


def _kind(folder: Path) -> tuple[Any, Any] | None:
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        said = json.loads((folder / MANIFEST).read_text("utf-8"))
        return said["format"], said["schema_version"]
    return None
