"""A data set that is made up as it is read, with what real ones have: no windows, damage, labels, captions, videos.

python tests/fake_data_set.py FOLDER JSON    prepares it; the JSON's keys are FakeDataSet's fields
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import DataSetError, NoWindowError
from primus_models.graph import Array
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources.base import TakeWindows, Video
from primus_models.towers.base import Opened, unit


@dataclass(frozen=True)
class FakeDataSet:
    """takes: how many. pause_s: of each reading. log: a file that each read take's name is added to.

    damaged: names of takes that cannot be read. short: of those that are whole, and have no window.
    videos: a folder with <take>.mp4 of some takes.
    """

    takes_wanted: int = 6
    pause_s: float = 0.0
    log: str = ""
    damaged: tuple[str, ...] = ()
    short: tuple[str, ...] = ()
    videos: str = ""

    @property
    def name(self) -> str:
        return "fake"

    def takes(self) -> Iterable[Take]:
        return [Take(f"take{n}", f"user{n % 3}", ("train", "val")[n % 2]) for n in reversed(range(self.takes_wanted))]

    def read(self, take: Take) -> TakeWindows:
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(take.name + "\n")
        time.sleep(self.pause_s)
        if take.name in self.damaged:
            raise DataSetError(f"{take.name}.vrs is cut short")
        if take.name in self.short:
            raise NoWindowError(f"{take.name}.vrs is shorter than 5 s")
        number = int(take.name[4:])
        count = 0 if number == 3 else 5 + number * 7
        rng = np.random.default_rng(number)
        windows = rng.normal(size=(count, 6, 250)).astype(np.float32)
        labels = tuple([None, "walking", "cooking", "bicycling"][n % 4] for n in range(count))
        captions = tuple(None if n % 5 == 0 else f"takes the {n % (3 + number)}th celery" for n in range(count))
        file = Path(self.videos) / f"{take.name}.mp4"
        video = Video(file, np.arange(count) * 1.0 - 1) if self.videos and file.exists() else None
        starts = np.arange(count, dtype=np.int64) * 10**9
        return TakeWindows(windows, starts, labels, captions, video, {"10 s": "a gap"} if number == 1 else {})


@dataclass(frozen=True)
class FakeTower:
    """A direction of its own for each text and each window's frames."""

    name: str = "fake-tower"
    size: int = 8
    identity: str = "1"
    side: int = 32

    def embed(self, items: Sequence[str] | NDArray[np.uint8]) -> Array:
        contents = [item.encode() if isinstance(item, str) else item.tobytes() for item in items]
        made = [np.random.default_rng(zlib.crc32(content)).normal(size=self.size) for content in contents]
        return unit(np.array(made).reshape(len(made), self.size))


@dataclass(frozen=True)
class OpenFake:
    identity: str = "1"
    log: str = ""

    def __call__(self) -> Opened:
        tower = Logged(identity=self.identity, log=self.log)
        return Opened(tower, tower)


@dataclass(frozen=True)
class Logged(FakeTower):
    log: str = ""

    def embed(self, items: Sequence[str] | NDArray[np.uint8]) -> Array:
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{len(items)}\n")
        return super().embed(items)


def contents(folder: Path) -> dict[str, str]:
    """sha256 of all files, by name."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


if __name__ == "__main__":
    from primus_models.preparation.preparing import prepare
    from primus_models.towers.base import Towers

    settings = json.loads(sys.argv[2])
    opener = OpenFake(log=settings.pop("tower_log", ""))
    prepare(FakeDataSet(**settings), Path(sys.argv[1]), Towers((opener,), (opener,)))
