"""Kills processes that save heads, at random moments: the current head is always the old one or the new one, whole.

    python tests/sdk/kill_saves.py [KILLS]

Each process saves head after head without a pause, so that every kill hits a save; it says in shared memory which it
began and which it finished. Needs POSIX.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from primus_sdk.errors import HeadError
from primus_sdk.heads.head import Head
from primus_sdk.heads.store import HeadStore

_KEEP = 3
_MOST_FILES = _KEEP + 4  # and the new head, the index, the lock, what one kill left
_LONGEST_S = 0.03
_SLOWEST_S = 1.0


def head(number: int) -> Head:
    """A head that can be told from every other, in each of its numbers."""
    weight = np.full((10, 512), number, np.float32)
    labels = tuple(f"activity {place}" for place in range(10))
    return Head(labels, weight, weight[:, 0], "ab" * 32, counts={labels[0]: number}, created="2026-01-31")


def kill_saves(folder: Path, kills: int, seed: int = 0) -> Counter[str]:
    """Kill that many saves; returns how often the old head, the new one, or none was found (before the first save)."""
    store, rng, found = HeadStore(folder, keep=_KEEP), random.Random(seed), Counter[str]()
    progress = mmap.mmap(-1, 24)  # the save that began, the one that ended, and whether the process runs
    done, longest_s = 0, _LONGEST_S
    for _ in range(kills):
        progress[:] = struct.pack("qqq", done, done, 0)
        process = os.fork()
        if process == 0:
            _save_until_killed(store, progress, done)
        while not progress[16]:  # a busy machine may not run it for long
            time.sleep(0.0002)
        # Waiting for its first save to begin, too, would let no kill hit what comes before it.
        wait_s = rng.uniform(0, longest_s)
        time.sleep(wait_s)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        began, ended, _ = struct.unpack("qqq", progress[:])
        if ended == done and wait_s > longest_s / 2:  # no save fits in: a busy machine would never get to one
            longest_s = min(2 * longest_s, _SLOWEST_S)
        done = _check(store, began, ended, found)
        names = [path.name for path in folder.iterdir()] if folder.exists() else []
        if len(names) > _MOST_FILES:
            raise AssertionError(f"what killed saves left piles up: {sorted(names)}")
    return found


def _save_until_killed(store: HeadStore, progress: mmap.mmap, done: int) -> None:
    try:
        progress[16] = 1
        for number in range(done + 1, done + 1_000_000):
            progress[:8] = struct.pack("q", number)
            store.save(head(number))
            progress[8:16] = struct.pack("q", number)
    finally:
        os._exit(1)


def _check(store: HeadStore, began: int, ended: int, found: Counter[str]) -> int:
    try:
        current = store.load()
    except HeadError:
        if ended:
            raise
        found["none"] += 1
        return 0
    number = int(current.weight[0, 0])
    if number not in (began, ended) or current.to_bytes() != head(number).to_bytes():
        raise AssertionError(f"head {number} is current, or half of it; {ended} was saved, {began} begun")
    if any(version.head is None for version in store.history()):
        raise AssertionError("an older head is not whole")
    found["new" if number == began > ended else "old" if began > ended else "between two saves"] += 1
    return number


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as place:
        result = kill_saves(Path(place) / "store", count, seed=int(time.time()))
    sys.stdout.write(f"{count} kills: " + ", ".join(f"{times} x {what}" for what, times in result.items()) + "\n")
