from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from primus_models.errors import DataSetError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources.ego4d import Ego4D
from primus_sdk.recordings import Recording, Samples
from primus_sdk.recordings.windows import windows_of

UID = "000cd456-ff8d-499b-b0c1-4acead128a8b"
TAKE = Take(UID, "12")
HEADER = "component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z"


def imu_rows(acc: Samples, gyr: Samples) -> list[str]:
    return [
        f"0,{t / 1e6 + 7},{t / 1e6},{','.join(map(repr, g))},{','.join(map(repr, a))}"
        for t, a, g in zip(acc.timestamps_ns.tolist(), acc.values.tolist(), gyr.values.tolist(), strict=True)
    ]


def said(text: Any, second: Any) -> dict[str, Any]:
    return {"timestamp_sec": second, "timestamp_frame": 1, "narration_text": text, "annotation_uid": "a"}


class Disk:
    def __init__(self, root: Path, moving: Any) -> None:
        self.root, self.version = root, root / "v2"
        for folder in ("annotations", "imu", "full_scale"):
            (self.version / folder).mkdir(parents=True)
        video = {"video_uid": UID, "duration_sec": 20.0, "has_imu": True, "fb_participant_id": 12,
                 "scenarios": ["Cooking"], "split_em": "train"}  # fmt: skip
        blind = {"video_uid": "blind", "duration_sec": 20.0, "has_imu": False, "scenarios": []}
        self.videos: dict[str, Any] = {"version": "v2", "videos": [video, blind]}
        self.rows = imu_rows(*moving(20.1, 200))
        (self.version / "full_scale" / f"{UID}.mp4").write_bytes(b"x")
        self.write_imu(self.rows)
        self.narrate([said("#C C opens the Door", 10.2)], [said("#C C picks #unsure", 3.3), said("#O A man waves", 9)])

    def narrate(self, first: list[Any], second: list[Any]) -> None:
        passes = {f"narration_pass_{n}": {"narrations": one, "summaries": []} for n, one in ((1, first), (2, second))}
        self.spoken = {UID: {"status": "complete", **passes}, "blind": {"status": "redacted"}}
        self.write()

    def write(self) -> None:
        (self.root / "ego4d.json").write_text(json.dumps(self.videos))
        (self.version / "annotations" / "narration.json").write_text(json.dumps(self.spoken))

    def write_imu(self, rows: list[str]) -> Path:
        file = self.version / "imu" / f"{UID}.csv"
        file.write_text("\n".join([HEADER, *rows]) + "\n")
        return file


@pytest.fixture
def disk(tmp_path: Path, moving) -> Disk:
    return Disk(tmp_path, moving)


def test_a_video_gives_a_window_for_each_narration_of_both_passes(disk: Disk, moving) -> None:
    data = Ego4D(disk.root)
    assert list(data.takes()) == [TAKE]
    found = data.read(TAKE)
    assert found.captions == ("picks something", "opens the door")
    assert (found.start_ns // 10**9).tolist() == [0, 7]
    assert found.labels == ("Cooking",) * 2
    assert found.video is not None
    assert found.video.file == disk.version / "full_scale" / f"{UID}.mp4"
    assert found.video.start_s.tolist() == [0, 7]
    assert found.left_out == {f"{UID}: narrations": "1 of someone else"}
    windows = {w.start_ns: w.imu for w in windows_of(Recording("", "", "", *moving(20.1, 200)))}
    assert np.allclose(found.windows[1], windows[7 * 10**9], atol=1e-4)  # times are written in ms, as text
    assert Ego4D(disk.root, passes=(1,)).read(TAKE).captions == ("opens the door",)
    # The version's folder by itself is as good, with ego4d.json in it.
    (disk.version / "ego4d.json").write_text(json.dumps(disk.videos))
    assert len(Ego4D(disk.version).read(TAKE).windows) == 2


def test_rows_out_of_order_and_without_time_or_acceleration_are_no_harm(disk: Disk) -> None:
    straight = Ego4D(disk.root).read(TAKE)
    rows = [*disk.rows[2000:], *disk.rows[:2000]]
    fields = rows[100].split(",")
    rows[100:100] = [",".join([*fields[:2], "", *fields[3:]]), ",".join([*fields[:6], "", "", ""])]
    disk.write_imu(rows)
    found = Ego4D(disk.root).read(TAKE)
    assert np.array_equal(found.windows, straight.windows)
    assert found.left_out[f"{UID}: rows"].startswith("2 of the IMU lack a time")


def test_a_gap_and_a_stray_time_cost_the_windows_over_them_only(disk: Disk) -> None:
    disk.narrate([said("#C C a", 4.0), said("#C C b", 10.2), said("#C C c", 17.0)], [])
    stray = disk.rows[5].split(",")
    stray[2] = "9e9"
    disk.write_imu([*disk.rows[: 9 * 200], *disk.rows[int(10.5 * 200) :], ",".join(stray)])
    found = Ego4D(disk.root).read(TAKE)
    assert found.captions == ("a", "c")
    assert found.left_out == {f"{UID}_7_12": "a gap of the IMU of more than a second lies in it"}


def test_windows_where_nothing_is_said_and_bad_ones(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text(f"{UID}_7_12\n")
    disk.videos["videos"].append({"video_uid": "silent", "duration_sec": 20})
    disk.write()
    data = Ego4D(disk.root, bad_windows=tmp_path / "bad", unnarrated_hop_s=5)
    assert [take.name for take in data.takes()] == [UID, "silent"]
    found = data.read(TAKE)
    assert list(zip((found.start_ns // 10**9).tolist(), found.captions, strict=True)) == [
        (0, "picks something"), (5, None), (15, None)]  # fmt: skip
    assert f"{UID}_7_12" in found.left_out
    with pytest.raises(DataSetError, match=r"no imu/silent\.csv"):
        data.read(Take("silent", ""))
    with pytest.raises(DataSetError, match="no video elsewhere"):
        data.read(Take("elsewhere", ""))


def test_without_the_video_its_windows_serve_still(disk: Disk) -> None:
    file = disk.version / "full_scale" / f"{UID}.mp4"
    file.unlink()
    found = Ego4D(disk.root).read(TAKE)
    assert found.video is None
    assert found.left_out[f"{UID}: video"] == f"there is no full_scale/{UID}.mp4"
    (disk.version / "video_540ss").mkdir()
    (disk.version / "video_540ss" / f"{UID}.mp4").write_bytes(b"x")
    found = Ego4D(disk.root).read(TAKE)
    assert found.video is not None
    assert found.video.file.parent.name == "video_540ss"


def test_acceleration_that_is_missing_or_in_g_is_refused(disk: Disk, moving) -> None:
    acc, gyr = moving(12, 200)
    for factor in (0.0, 1 / 9.81):
        disk.write_imu(imu_rows(Samples(acc.timestamps_ns, acc.values * factor), gyr))
        with pytest.raises(DataSetError, match=rf"{UID}\.csv: its acceleration .* about 9\.8 m/s\^2"):
            Ego4D(disk.root).read(TAKE)
    disk.write_imu([row.rsplit(",", 3)[0] + ",,," for row in disk.rows])
    with pytest.raises(DataSetError, match="0 rows with a time and both sensors"):
        Ego4D(disk.root).read(TAKE)


def test_truncated_csvs_give_their_whole_rows_or_a_typed_error(disk: Disk) -> None:
    file = disk.write_imu(disk.rows)
    content = file.read_bytes()
    read = 0
    for size in [*range(0, 300, 7), *range(300, len(content), len(content) // 20)]:
        file.write_bytes(content[:size])
        try:
            read += len(Ego4D(disk.root).read(TAKE).windows)
        except DataSetError:
            continue
    assert read > 10
    for other in (b"a,b\n1,2\n", b"\x00" * 100, content.replace(b"accl_x", b"acc_x"), content.replace(b"0,", b"x,")):
        file.write_bytes(other)
        with pytest.raises(DataSetError, match=UID):
            Ego4D(disk.root).read(TAKE)


def test_json_files_missing_cut_short_or_of_another_version_are_named(disk: Disk) -> None:
    for file in (disk.root / "ego4d.json", disk.version / "annotations" / "narration.json"):
        whole = file.read_bytes()
        for size in range(0, len(whole), 5):
            file.write_bytes(whole[:size])
            with pytest.raises(DataSetError, match=file.name):
                Ego4D(disk.root).takes()
        for other in (b"[" * 100_000, b"[]", b"3", b'{"videos": 3}', b'{"videos": [{}]}', b'{"a": {"pass": 1}}'):
            file.write_bytes(other)
            with pytest.raises(DataSetError, match=file.name):
                Ego4D(disk.root).takes()
        file.unlink()
        with pytest.raises(DataSetError, match=rf"there is no .*{file.name}"):
            Ego4D(disk.root).takes()
        file.write_bytes(whole)
    for uid in ("../../etc/passwd", "*", "", "a/b", 7, "x" * 300, "a\0"):
        disk.videos["videos"][1]["video_uid"] = uid
        disk.write()
        with pytest.raises(DataSetError, match="video_uid"):
            Ego4D(disk.root).takes()


def test_broken_narrations_are_counted(disk: Disk) -> None:
    broken = [None, 3, {}, said(None, 1), said("#C C", 1), said("#C C x", "1"), said("#C C x", float("nan"))]
    disk.narrate([*broken, said("#C C goes", 4)], [])
    disk.spoken[UID]["narration_pass_2"] = {"narrations": "none"}
    disk.write()
    found = Ego4D(disk.root).read(TAKE)
    assert found.captions == ("goes",)
    assert found.left_out == {f"{UID}: broken narrations": "7 without text or time"}


def test_options_and_pickling(disk: Disk) -> None:
    for options in ({"passes": ()}, {"passes": (3,)}, {"unnarrated_hop_s": 1.5}):
        with pytest.raises(DataSetError):
            Ego4D(disk.root, **options)  # type: ignore[arg-type]
    data = Ego4D(disk.root, passes=(2,))
    assert pickle.loads(pickle.dumps(data)) == data
