"""Any published data set into the prepared form: `prepare`, which goes on where it was stopped.

    .parts/<key>.safetensors            a take that was read; the key is a hash of its name and of the options
    .parts/towers/<name>-<id>/*.safetensors   embeddings of a block of captions or windows
    .lock                               held by the process at work

Takes are read once, whatever happens; those that could not be read (missing, half-downloaded, damaged) are tried again
when the same command is run. One that is whole and gives no window is named in `left_out`, and done with. The parts go
when no take is left to be tried again; while one is, they stay, for otherwise all would have to be read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from primus_models.errors import DataSetError, PreparedError
from primus_models.preparation.lock import locked
from primus_models.preparation.manifest import State, publish, recorded
from primus_models.preparation.mapping import Failed, Here, Mapper, Report, Silent
from primus_models.preparation.parts import PartMaker, is_whole, key_of
from primus_models.preparation.prepared import MANIFEST, TOWERS, Take, load
from primus_models.preparation.sources.base import DataSet
from primus_models.preparation.tower_work import add_towers, check_towers
from primus_models.preparation.writing import UNFINISHED, assemble, kept
from primus_models.towers.base import Towers
from primus_sdk.files import write_atomically

PARTS = ".parts"


@dataclass(frozen=True)
class Summary:
    """What a prepared folder holds, and what this run did for it.

    read: takes read in this run; known: takes that were read before. failed: takes that could not be read, and why.
    empty: takes that gave no window. left_out: all that could not be used, by name, and why.
    towers: by name, what each embedded: `captions` and `windows`, counts.
    """

    folder: Path
    read: int
    known: int
    failed: dict[str, str]
    empty: list[str]
    windows: int
    captions: int
    labels: list[str]
    users: int
    left_out: dict[str, str]
    towers: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass
class _Reading:
    """Takes' parts, as they come to be there."""

    files: dict[Take, Path]
    read: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def prepare(
    data_set: DataSet,
    folder: Path,
    towers: Towers | None = None,
    mapper: Mapper | None = None,
    report: Report | None = None,
    options: Mapping[str, Any] | None = None,
) -> Summary:
    """Read all takes of a data set, put them into the prepared form, and embed captions and videos.

    Run again after it was stopped, it goes on; run again with another tower, it adds that tower. The bytes of the
    folder depend on the data set, the options and the towers only, not on how often it was stopped or where it ran.

    options: all that decides what the data set gives beside its files (hop, body position, ...), as JSON can hold it.

    Raises:
        DataSetError: the data set is not there, or no take of it can be read, or none has a window.
        TowerError: a tower cannot be opened.
        PreparedError: the folder holds something else, or another process is at work in it.
        OutputError: it cannot be written, or the disk is full; nothing that was prepared is lost.
    """
    towers, mapper, report, options = towers or Towers(), mapper or Here(), report or Silent(), dict(options or {})
    takes = _takes(data_set)
    check_towers(towers)  # what is wrong with one is said before hours of reading
    with kept(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _sweep(folder)
        parts, state = folder / PARTS, recorded(folder)
        made = {"options": options, "takes": _hash_of(takes)}
        known, read = len(takes), 0
        if state is not None:
            _check_same(folder, state, data_set, options)
        if state is None or state.made["takes"] != made["takes"] or (state.made["failed"] and parts.is_dir()):
            files = {take: parts / f"{key_of(data_set.name, take, options)}.safetensors" for take in takes}
            reading = _read(data_set, files, mapper, report)
            read, known = reading.read, len(files) - reading.read
            if read or state is None or state.made["failed"] != sorted(reading.failed):
                state = _put_together(folder, data_set, reading, made, report)
        add_towers(folder, parts / TOWERS, state, towers, mapper, report)
        if not state.made["failed"]:
            with kept(folder):
                shutil.rmtree(parts, ignore_errors=True)
    failed = {name: state.left_out[name] for name in state.made["failed"]}
    return _summary(folder, state, read, known - len(failed), failed)


def _takes(data_set: DataSet) -> list[Take]:
    takes = sorted(data_set.takes(), key=lambda take: take.name)
    if not takes:
        raise DataSetError(f"there is no take of {data_set.name} there; is it the right folder, and downloaded?")
    for one, next_one in itertools.pairwise(takes):
        if one.name == next_one.name:
            raise DataSetError(f"two takes are called {one.name!r}; each needs a name of its own")
    return takes


def _hash_of(takes: list[Take]) -> str:
    return hashlib.sha256(json.dumps([asdict(take) for take in takes]).encode()).hexdigest()[:32]


def _check_same(folder: Path, state: State, data_set: DataSet, options: dict[str, Any]) -> None:
    there, wanted = (state.source, state.made["options"]), (data_set.name, options)
    if there != wanted:
        raise PreparedError(
            f"{folder} holds {there[0]} prepared with {json.dumps(there[1])}; this would be {wanted[0]} with "
            f"{json.dumps(wanted[1])}: give another folder, or delete that one"
        )


def _read(data_set: DataSet, files: dict[Take, Path], mapper: Mapper, report: Report) -> _Reading:
    """Make the parts that are not there or damaged."""
    reading = _Reading({})
    reading.files = {take: file for take, file in files.items() if is_whole(file)}
    missing = [take for take in files if take not in reading.files]
    report.begin("takes", len(files), len(reading.files))
    for place, result in mapper.map(PartMaker(data_set), missing):
        take = missing[place]
        if isinstance(result, Failed):
            reading.failed[take.name] = result.why
            report.say(f"{take.name} could not be read: {result.why}")
        else:
            with kept(files[take].parent):
                files[take].parent.mkdir(exist_ok=True)
                write_atomically(files[take], result)
            reading.files[take] = files[take]
            reading.read += 1
        report.step()
    if not reading.files:
        name, reason = min(reading.failed.items())
        raise DataSetError(f"none of {len(files)} takes could be read; of {name}: {reason}")
    return reading


def _put_together(folder: Path, data_set: DataSet, reading: _Reading, made: dict[str, Any], report: Report) -> State:
    files = [file for _, file in sorted(reading.files.items(), key=lambda item: item[0].name)]
    report.begin("putting them together", 1, 0)
    with kept(folder):
        # Towers' arrays are of the windows that were: their blocks, which are kept, make the new ones.
        assembled = assemble(folder, files, folder / MANIFEST)
        shutil.rmtree(folder / TOWERS, ignore_errors=True)
    made = {**made, "failed": sorted(reading.failed), "empty": sorted(assembled.empty), "towers": {}}
    left_out = dict(sorted({**assembled.left_out, **reading.failed}.items()))
    state = State(data_set.name, assembled.recordings, assembled.labels, left_out, made, assembled.hashes)
    with kept(folder):
        publish(folder, state)
    report.step()
    return state


def _sweep(folder: Path) -> None:
    """Remove what a process that was killed had not finished."""
    parts = folder / PARTS
    for pattern in (f"*{UNFINISHED}*", f".{MANIFEST}.*", f"{TOWERS}/*/*{UNFINISHED}*"):
        _remove(folder.glob(pattern))
    for place in (parts, *parts.glob(f"{TOWERS}/*")):
        _remove(place.glob(".*.safetensors.*"))


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink()


def _summary(folder: Path, state: State, read: int, known: int, failed: dict[str, str]) -> Summary:
    prepared = load(folder)
    towers = {
        name: {
            "captions": 0 if tower.text is None else len(tower.text),
            "windows": 0 if tower.video is None else int((~np.isnan(tower.video[:, 0])).sum()),
        }
        for name, tower in prepared.towers.items()
    }
    return Summary(
        folder,
        read,
        known,
        failed,
        list(state.made["empty"]),
        len(prepared),
        len(prepared.captions),
        list(prepared.labels),
        len({recording.user for recording in prepared.recordings}),
        prepared.left_out,
        towers,
    )
