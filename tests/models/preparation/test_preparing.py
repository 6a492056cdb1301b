"""Any data set into the prepared form: what is in it, and what kills, damage, full disks and second runs do to it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fake_data_set import FakeDataSet, FakeTower, OpenFake, contents

from primus_models.errors import DataSetError, PreparedError, TowerError
from primus_models.preparation import preparing, writing
from primus_models.preparation.mapping import Silent
from primus_models.preparation.prepared import MANIFEST, Take, load
from primus_models.preparation.preparing import PARTS, prepare
from primus_models.towers.base import Opened, Towers
from primus_sdk.errors import OutputError

ROOT = Path(__file__).parents[3]
TEXT = Towers((OpenFake(),))


class Lines(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def lines_of(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def test_what_takes_give_is_in_the_prepared_form(tmp_path: Path) -> None:
    data_set = FakeDataSet()
    summary = prepare(data_set, tmp_path / "out")
    prepared = load(tmp_path / "out")
    assert [take.name for take in prepared.recordings] == ["take0", "take1", "take2", "take4", "take5"]
    assert prepared.labels == ("bicycling", "cooking", "walking")
    assert len(set(prepared.captions)) == len(prepared.captions) > 5
    for number, take in enumerate(prepared.recordings):
        found, rows = data_set.read(take), np.flatnonzero(prepared.recording == number)
        np.testing.assert_array_equal(prepared.windows[rows], found.windows)
        np.testing.assert_array_equal(prepared.start_ns[rows], found.start_ns)
        assert [None if at < 0 else prepared.labels[at] for at in prepared.label[rows]] == list(found.labels)
        assert [None if at < 0 else prepared.captions[at] for at in prepared.caption[rows]] == list(found.captions)
    assert prepared.left_out == {"take1 10 s": "a gap", "take3": "it gives no window"}
    assert (summary.read, summary.known, summary.empty, summary.users) == (6, 0, ["take3"], 3)
    assert (summary.windows, summary.captions) == (len(prepared), len(prepared.captions))
    hashes = json.loads((tmp_path / "out" / MANIFEST).read_text())["sha256"]
    there = contents(tmp_path / "out")
    assert set(hashes) == {"windows.npy", "index.npy", "captions.json"}
    assert all(there[name] == sha256 for name, sha256 in hashes.items())
    assert not (tmp_path / "out" / PARTS).exists()
    assert not (tmp_path / "out" / ".lock").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_again_and_again_it_ends_with_the_same_bytes_and_reads_each_take_once(tmp_path: Path) -> None:
    prepare(FakeDataSet(), tmp_path / "whole", Towers((OpenFake(),), (OpenFake(),)))
    settings = {"pause_s": 0.05, "log": str(tmp_path / "log")}
    arguments = [sys.executable, str(ROOT / "tests" / "fake_data_set.py"), str(tmp_path / "out"), json.dumps(settings)]
    rng, kills = np.random.default_rng(0), 0
    for _ in range(40):
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE)
        known = len(list((tmp_path / "out" / PARTS).glob("*.safetensors")))
        while process.poll() is None and len(list((tmp_path / "out" / PARTS).glob("*.safetensors"))) <= known:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.03))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        if process.returncode == 0:
            break
    else:
        pytest.fail("it never ended")
    assert kills >= 3
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    # One take may have been at work in each kill; none that has a part was read again.
    assert len(lines_of(tmp_path / "log")) <= 6 + kills


def test_takes_with_a_part_are_not_read_again_and_damaged_parts_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(FakeDataSet(), tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(preparing, "assemble", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            prepare(FakeDataSet(), tmp_path / "out")
    parts = sorted((tmp_path / "out" / PARTS).glob("*.safetensors"))
    assert len(parts) == 6
    content = bytearray(parts[0].read_bytes())
    content[-100] ^= 1
    parts[0].write_bytes(content)
    parts[1].write_bytes(parts[1].read_bytes()[:-1])
    summary = prepare(FakeDataSet(log=str(tmp_path / "log")), tmp_path / "out")
    assert (summary.read, summary.known) == (2, 4)
    assert len(lines_of(tmp_path / "log")) == 2
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_take_that_fails_is_named_recorded_and_tried_again(tmp_path: Path) -> None:
    report, log = Lines(), str(tmp_path / "log")
    summary = prepare(FakeDataSet(damaged=("take2",)), tmp_path / "out", TEXT, report=report)
    assert report.lines == ["take2 could not be read: take2.vrs is cut short"]
    assert summary.failed == {"take2": "take2.vrs is cut short"}
    assert load(tmp_path / "out").left_out["take2"] == "take2.vrs is cut short"
    before = (tmp_path / "out" / "windows.npy").stat()
    again = prepare(FakeDataSet(damaged=("take2",), log=log), tmp_path / "out", TEXT)
    assert (again.read, again.known, list(again.failed)) == (0, 5, ["take2"])
    assert (tmp_path / "out" / "windows.npy").stat().st_ino == before.st_ino
    mended = prepare(FakeDataSet(log=log), tmp_path / "out", TEXT)
    assert (mended.read, mended.known, mended.failed) == (1, 5, {})
    assert lines_of(tmp_path / "log") == ["take2", "take2"]
    prepare(FakeDataSet(), tmp_path / "whole", TEXT)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_take_that_never_gives_a_window_is_named_and_keeps_no_parts(tmp_path: Path) -> None:
    log, why = str(tmp_path / "log"), "take2.vrs is shorter than 5 s"
    summary = prepare(FakeDataSet(short=("take2",)), tmp_path / "out", TEXT)
    assert (summary.failed, summary.empty) == ({}, ["take2", "take3"])
    assert load(tmp_path / "out").left_out["take2"] == why
    assert not (tmp_path / "out" / PARTS).exists()
    again = prepare(FakeDataSet(short=("take2",), log=log), tmp_path / "out", TEXT)
    assert (again.read, again.known, again.empty) == (0, 6, ["take2", "take3"])
    assert lines_of(tmp_path / "log") == []
    both = prepare(FakeDataSet(short=("take2",), damaged=("take1",)), tmp_path / "both")
    assert (list(both.failed), both.empty) == (["take1"], ["take2", "take3"])
    assert (tmp_path / "both" / PARTS).exists()  # of take1, which may be whole the next time
    prepare(FakeDataSet(short=("take2",), log=log), tmp_path / "both", TEXT)
    assert lines_of(tmp_path / "log") == ["take1"]
    assert contents(tmp_path / "both") == contents(tmp_path / "out")


def test_who_deletes_the_parts_leaves_it_at_that(tmp_path: Path) -> None:
    import shutil

    prepare(FakeDataSet(damaged=("take2",)), tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / PARTS)
    summary = prepare(FakeDataSet(log=str(tmp_path / "log")), tmp_path / "out", TEXT)
    assert lines_of(tmp_path / "log") == []
    assert list(summary.failed) == ["take2"]
    assert summary.towers["fake-tower"]["captions"] == summary.captions


@pytest.mark.parametrize("at", ["part", "array"])
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    written = 0

    def write(path: Path, content: bytes) -> None:
        nonlocal written
        written += 1
        if written == 4:
            raise OutputError(f"cannot write {path}: {full.strerror}; choose a folder that can be written")
        path.write_bytes(content)

    def append(self: writing.ArrayFile, rows: object) -> None:
        raise full

    with monkeypatch.context() as patched:
        if at == "part":
            patched.setattr(preparing, "write_atomically", write)
        else:
            patched.setattr(writing.ArrayFile, "append", append)
        with pytest.raises(OutputError, match="No space left on device; what is prepared so far stays") as caught:
            prepare(FakeDataSet(), tmp_path / "out")
        assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").glob("*unfinished*"))
    summary = prepare(FakeDataSet(), tmp_path / "out")
    assert summary.known == (3 if at == "part" else 6)
    prepare(FakeDataSet(), tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_the_folder_holds_is_not_written_over(tmp_path: Path) -> None:
    prepare(FakeDataSet(), tmp_path, options={"hop_s": 1})
    before = contents(tmp_path)
    with pytest.raises(PreparedError, match=r'holds fake prepared with \{"hop_s": 1\}.*another folder'):
        prepare(FakeDataSet(), tmp_path, options={"hop_s": 2})
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(manifest | {"schema_version": 9}))
    with pytest.raises(PreparedError, match="version 9"):
        prepare(FakeDataSet(), tmp_path, options={"hop_s": 1})
    (tmp_path / MANIFEST).write_text("{")
    prepare(FakeDataSet(), tmp_path, options={"hop_s": 1})
    assert contents(tmp_path) == before


def test_two_processes_do_not_prepare_into_one_folder(tmp_path: Path) -> None:
    class Second(FakeDataSet):
        def read(self, take: Take) -> object:  # type: ignore[override]
            with pytest.raises(PreparedError, match="another primus-prepare is at work"):
                prepare(FakeDataSet(), tmp_path)
            return super().read(take)

    if sys.platform != "win32":
        prepare(Second(takes_wanted=2), tmp_path)
        assert len(load(tmp_path).recordings) == 2


def test_new_takes_are_read_when_the_data_set_has_grown(tmp_path: Path) -> None:
    prepare(FakeDataSet(takes_wanted=2), tmp_path / "out", TEXT)
    prepare(FakeDataSet(), tmp_path / "out", TEXT)
    prepare(FakeDataSet(), tmp_path / "whole", TEXT)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_cannot_be_prepared_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="no take of fake"):
        prepare(FakeDataSet(takes_wanted=0), tmp_path)
    with pytest.raises(DataSetError, match=r"none of 1 takes could be read; of take0: take0\.vrs is cut short"):
        prepare(FakeDataSet(takes_wanted=1, damaged=("take0",)), tmp_path)
    with pytest.raises(DataSetError, match=r"none of 1 takes gives a window; of take0: take0\.vrs is shorter than 5 s"):
        prepare(FakeDataSet(takes_wanted=1, short=("take0",)), tmp_path)
    assert not (tmp_path / MANIFEST).exists()


def test_a_reader_that_breaks_in_an_unforeseen_way_fails_its_take_only(tmp_path: Path) -> None:
    class Broken(FakeDataSet):
        def read(self, take: Take) -> object:  # type: ignore[override]
            found = super().read(take)
            if take.name == "take1":
                raise ZeroDivisionError("division\nby zero")
            if take.name == "take2":
                found.windows[0, 0, 0] = np.nan
            return found

    summary = prepare(Broken(), tmp_path)
    assert summary.failed["take1"] == "ZeroDivisionError: division by zero"
    assert "NaN" in summary.failed["take2"]
    assert len(summary.failed) == 2


def test_captions_are_embedded_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    prepare(FakeDataSet(), tmp_path / "out")
    summary = prepare(FakeDataSet(log=str(tmp_path / "reads")), tmp_path / "out", Towers((OpenFake(log=str(log)),)))
    assert lines_of(tmp_path / "reads") == []
    assert sum(map(int, lines_of(log))) == summary.captions
    prepared = load(tmp_path / "out")
    np.testing.assert_array_equal(prepared.tower("fake-tower").text, FakeTower().embed(prepared.captions))
    prepare(FakeDataSet(), tmp_path / "out", Towers((OpenFake(log=str(log)),)))
    assert sum(map(int, lines_of(log))) == summary.captions
    prepare(FakeDataSet(), tmp_path / "out", Towers((OpenFake("2", log=str(log)),)))
    assert sum(map(int, lines_of(log))) == 2 * summary.captions


def test_towers_that_do_not_fit_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    data_set = FakeDataSet(log=log)
    with pytest.raises(TowerError, match="two different towers are called 'fake-tower'"):
        prepare(data_set, tmp_path / "out", Towers((OpenFake("1"),), (OpenFake("2"),)))
    with pytest.raises(TowerError, match="reads no text"):
        prepare(data_set, tmp_path / "out", Towers((Opened,)))
    with pytest.raises(TowerError, match=r"name is '\.\./x'"):
        prepare(data_set, tmp_path / "out", Towers((Named("../x"),)))
    assert not Path(log).exists()


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self) -> Opened:
        return Opened(FakeTower(self.name))
