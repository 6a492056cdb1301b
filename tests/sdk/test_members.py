"""A recording's files in a folder or zip, hostile ones among them: nothing is unpacked, nothing beyond measure read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from primus_sdk.errors import RecordingError
from primus_sdk.recordings.members import Members

KNOWN = frozenset({"gyroscope.csv", "gravity.csv"})
CONTENT = b"time,z,y,x\n" + bytes(range(1, 256)) * 40  # packs badly, as numbers do


def packed(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def content_of(path: Path, name: str = "gyroscope.csv") -> bytes:
    members = Members(path, KNOWN)
    try:
        with members.open(name) as stream:
            return stream.read()
    finally:
        members.close()


@pytest.mark.parametrize("name", ["Gyroscope.csv", "GYROSCOPE.CSV", "monday/Gyroscope.csv", "a/b/gyroscope.csv"])
def test_a_file_is_found_at_the_top_or_in_one_folder_in_any_case(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "a.zip", {name: CONTENT, "__MACOSX/._Gyroscope.csv": b"", "notes.txt": b"x"})
    assert Members(path, KNOWN).names == {"gyroscope.csv"}
    assert content_of(path) == CONTENT


def test_a_folder_gives_what_its_zip_gives(tmp_path: Path) -> None:
    (tmp_path / "Gyroscope.csv").write_bytes(CONTENT)
    (tmp_path / "gravity.csv").mkdir()
    assert Members(tmp_path, KNOWN).names == {"gyroscope.csv"}
    assert content_of(tmp_path) == CONTENT


@pytest.mark.parametrize(
    "name", ["../Gyroscope.csv", "/etc/Gyroscope.csv", "a/../../b.txt", "..\\x", "C:/Gyroscope.csv"]
)
def test_a_zip_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordingError, match="points outside"):
        Members(packed(tmp_path / "a.zip", {"Gyroscope.csv": CONTENT, name: b""}), KNOWN)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"Gyroscope.csv": bytes(32 << 20)})
    assert path.stat().st_size < 1 << 20
    with pytest.raises(RecordingError, match=r"Gyroscope\.csv unpacks to 33554432 bytes"):
        content_of(path)


def test_a_bomb_that_nobody_asks_for_is_no_matter(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"Gyroscope.csv": CONTENT, "Gravity.csv": bytes(32 << 20)})
    assert content_of(path) == CONTENT


def test_a_member_that_lies_about_its_size_gives_no_more_than_it_said(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"Gyroscope.csv": b"0" * (32 << 20)})
    content, true_size = path.read_bytes(), (32 << 20).to_bytes(4, "little")
    assert content.count(true_size) == 2  # of the local header and of the directory
    path.write_bytes(content.replace(true_size, (4096).to_bytes(4, "little")))
    with pytest.raises(RecordingError, match="damaged"):
        content_of(path)


def test_several_recordings_in_one_zip_are_named(tmp_path: Path) -> None:
    files = {f"{day}/{name}": CONTENT for day in ("monday", "tuesday") for name in ("Gyroscope.csv", "Gravity.csv")}
    with pytest.raises(RecordingError, match=r"2 recordings \(monday, tuesday\)"):
        Members(packed(tmp_path / "a.zip", files), KNOWN)


def test_two_files_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="but for their case"):
        Members(packed(tmp_path / "a.zip", {"Gyroscope.csv": CONTENT, "gyroscope.csv": b""}), KNOWN)


def test_far_too_many_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="10001 members"):
        Members(packed(tmp_path / "a.zip", {str(i): b"" for i in range(10_001)}), KNOWN)


def test_a_packing_that_is_not_deflate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="packed otherwise"):
        content_of(packed(tmp_path / "a.zip", {"Gyroscope.csv": CONTENT}, zipfile.ZIP_LZMA))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no zip", bytes(2000)])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"a\.zip cannot be read as a zip"):
        Members(path, KNOWN)
    with pytest.raises(RecordingError, match="nothing at"):
        Members(tmp_path / "absent", KNOWN)


def test_every_flipped_bit_is_harmless_or_an_error_of_ours(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.zip", {"Gyroscope.csv": b"time,z,y,x\n1,2,3,4\n"}).read_bytes()
    path = tmp_path / "bad.zip"
    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            try:
                members = Members(path, KNOWN)
            except RecordingError:
                continue
            members.close()
            if members.names:
                try:
                    found = content_of(path)
                except RecordingError:
                    continue
                assert found == b"time,z,y,x\n1,2,3,4\n"
