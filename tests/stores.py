"""Heads and stores of them that both files of the store's tests make."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from primus_sdk.heads.head import Head
from primus_sdk.heads.store import HeadStore


def head(number: int) -> Head:
    return Head(("a", "b"), np.full((2, 512), number), np.zeros(2), "ab" * 32, created="2026-01-31")


def number_of(found: Head) -> int:
    return int(found.weight[0, 0])


def filled(folder: Path, heads: int, keep: int = 10) -> HeadStore:
    store = HeadStore(folder, keep)
    for number in range(1, heads + 1):
        assert store.save(head(number)) == number
    return store


def current(store: HeadStore) -> list[int]:
    return [version.version for version in store.history() if version.current]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def file_of(folder: Path, version: int) -> Path:
    return folder / f"head-{version:08d}.safetensors"
