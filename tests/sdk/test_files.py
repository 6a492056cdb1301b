"""Files written whole or not at all: over files alone, through links, and with the permissions that are due."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from primus_sdk.errors import OutputError
from primus_sdk.files import destination, write_atomically

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes, links and modes as POSIX has them")


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    target, link, absent = tmp_path / "deep" / "target", tmp_path / "link", tmp_path / "absent"
    target.write_bytes(b"old")
    link.symlink_to("deep/target")
    absent.symlink_to("deep/new")
    write_atomically(link, b"new")
    write_atomically(absent, b"first")
    assert link.is_symlink()
    assert absent.is_symlink()
    assert target.read_bytes() == b"new"
    assert (tmp_path / "deep" / "new").read_bytes() == b"first"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["absent", "deep", "link", "new", "target"]


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "link to a pipe"])
def test_nothing_but_a_file_is_replaced(tmp_path: Path, kind: str) -> None:
    # No device: where this fails, the superuser would lose it.
    path, pipe = tmp_path / "it", tmp_path / "pipe"
    os.mkfifo(pipe)
    if kind == "pipe":
        path = pipe
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path if kind == "loop" else pipe)
    before = path.lstat()
    for call in (lambda: destination(path), lambda: write_atomically(path, b"content")):
        with pytest.raises(OutputError, match=r"it|pipe") as error:
            call()
        assert "give the name of a file" in str(error.value)
    assert path.lstat() == before
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert {found.name for found in tmp_path.iterdir()} <= {"it", "pipe"}


def test_a_new_file_has_what_the_umask_leaves(tmp_path: Path, umask: None) -> None:
    write_atomically(tmp_path / "new", b"content")
    assert mode(tmp_path / "new") == 0o640


@pytest.mark.parametrize("permissions", [0o600, 0o664, 0o755])
def test_a_file_that_was_there_keeps_its_permissions(tmp_path: Path, umask: None, permissions: int) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(permissions)
    write_atomically(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", permissions)


def test_the_umask_is_never_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(mask: int) -> int:
        raise AssertionError("the umask is the whole process's: other threads make files meanwhile")

    monkeypatch.setattr(os, "umask", never)
    write_atomically(tmp_path / "new", b"content")


def test_threads_that_write_one_file_leave_one_of_their_contents(tmp_path: Path) -> None:
    contents = [bytes([number]) * 50_000 for number in range(8)]
    threads = [threading.Thread(target=write_atomically, args=(tmp_path / "it", content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "it").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


@pytest.mark.parametrize("path", ["absent/it", "file/it", "zero\0byte", "x" * 300])
def test_what_cannot_be_written_is_a_typed_error_and_leaves_nothing(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        write_atomically(tmp_path / path, b"content")
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_halfway_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "it").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_atomically(tmp_path / "it", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_folders_name_that_is_no_text_is_no_hindrance(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    write_atomically(folder / "it", b"content")
    assert (folder / "it").read_bytes() == b"content"


def test_importing_it_brings_nothing_that_python_has_not_begun_with() -> None:
    code = "import primus_sdk.files, sys; print('tempfile' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
