"""A store of heads under kills, and under processes and threads that use it at once."""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from stores import filled, head, number_of

from primus_sdk.errors import HeadError, OutputError
from primus_sdk.heads.index import Index
from primus_sdk.heads.store import HeadStore

KILLS = int(os.environ.get("PRIMUS_KILLS", "25"))


def killer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill_saves", Path(__file__).parent / "kill_saves.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills need POSIX")
def test_a_save_killed_at_any_moment_leaves_the_old_head_or_the_new(tmp_path: Path) -> None:
    found = killer().kill_saves(tmp_path / "store", KILLS)
    assert sum(found.values()) == KILLS
    assert found["old"] + found["new"] > KILLS / 2, "kills hit saves"


def save_many(folder: Path, first: int, count: int) -> None:
    store = HeadStore(folder, keep=1000)
    for number in range(first, first + count):
        store.save(head(number))


def test_two_processes_that_save_at_once_lose_no_head(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "fork")
    processes = [context.Process(target=save_many, args=(tmp_path, first, 20)) for first in (100, 200, 300)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    versions = HeadStore(tmp_path).history()
    assert [version.version for version in versions] == list(range(1, 61))
    saved = [number_of(version.head) for version in versions if version.head]
    assert sorted(saved) == [*range(100, 120), *range(200, 220), *range(300, 320)]
    for first in (100, 200, 300):
        assert [number for number in saved if first <= number < first + 20] == list(range(first, first + 20))


def test_readers_see_whole_heads_while_another_saves_and_deletes(tmp_path: Path) -> None:
    store = filled(tmp_path, 1, keep=2)
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(number_of(store.load()))
            seen.append(max(number_of(version.head) for version in store.history() if version.head))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(2, 60):
        store.save(head(number))
    done.set()
    reader.join(10)
    assert seen
    assert seen == sorted(seen)


@pytest.mark.parametrize("lockable", [True, False])
def test_a_reader_that_others_outrun_reads_at_last_under_the_lock(
    tmp_path: Path, lockable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, other = filled(tmp_path, 1, keep=2), HeadStore(tmp_path, keep=2)
    index_of, locked, under_lock = reader._index, reader._locked, threading.Event()

    def outrun() -> Index:
        index = index_of()
        if not under_lock.is_set():  # each time that the reader has seen the index, its heads go
            other.save(head(2))
            other.save(head(3))
        return index

    @contextlib.contextmanager
    def lock() -> Iterator[None]:
        if not lockable:
            raise OutputError("cannot write in it")
        with locked():
            under_lock.set()
            yield
        under_lock.clear()

    monkeypatch.setattr(reader, "_index", outrun)
    monkeypatch.setattr(reader, "_locked", lock)
    if lockable:
        assert number_of(reader.load()) == 3
        assert [number_of(version.head) for version in reader.history() if version.head] == [2, 3]
    else:
        for call in (reader.load, reader.history):
            with pytest.raises(HeadError, match="faster than it can be read"):
                call()
