from __future__ import annotations

import json
import math
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from primus_models.errors import DataSetError, NoWindowError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources import vrs
from primus_models.preparation.sources.ego_exo4d import EgoExo4D
from primus_models.preparation.sources.narrated import Narrated, Narration, cut, read_bad, start_of
from primus_models.preparation.sources.resampling import grid_of
from primus_sdk.recordings import Recording
from primus_sdk.recordings.windows import windows_of

UID = "11111111-aaaa-4bbb-8ccc-222222222222"


def description(text: str, timestamp: float, **more: Any) -> dict[str, Any]:
    return {"text": text, "timestamp": timestamp, "subject": "C", "ego_visible": True, "unsure": "#unsure" in text,
            "best_exo": {"raw_cam_id": 1, "cam_id": "cam01"}} | more  # fmt: skip


def annotated(**takes: list[list[dict[str, Any]]]) -> dict[str, Any]:
    annotations = {
        uid: [{"annotation_uid": f"a{i}", "annotator_id": str(i), "descriptions": d} for i, d in enumerate(lists)]
        for uid, lists in takes.items()
    }
    return {"ds": "240213", "take_cam_id_map": {uid: {} for uid in takes}, "annotations": annotations}


class Disk:
    """The data set's folder, of the published form; the VRS files' content comes from the test."""

    def __init__(self, root: Path) -> None:
        self.root, self.takes = root, []
        self.write("train", annotated())
        self.write("val", annotated())

    def write(self, split: str, content: Any) -> None:
        file = self.root / "annotations" / f"atomic_descriptions_{split}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))

    def take(self, uid: str = UID, seconds: float | None = 20.4, video: bool = True, **more: Any) -> Path:
        entry = {"take_uid": uid, "take_name": "cmu_bike01_2", "root_dir": f"takes/{uid[:8]}", "duration_sec": seconds,
                 "participant_uid": 657, "task_name": "Remove a Wheel", "parent_task_name": "Bike Repair"}  # fmt: skip
        self.takes.append({k: v for k, v in (entry | more).items() if v is not None})
        (self.root / "takes.json").write_text(json.dumps(self.takes))
        folder = self.root / "takes" / uid[:8]
        (folder / "frame_aligned_videos").mkdir(parents=True)
        (folder / "aria01_noimagestreams.vrs").write_bytes(b"x")
        if video:
            (folder / "frame_aligned_videos" / "aria01_214-1.mp4").write_bytes(b"x")
            (folder / "frame_aligned_videos" / "cam01.mp4").write_bytes(b"x")
        return folder


@pytest.fixture
def imu(monkeypatch: pytest.MonkeyPatch, moving) -> dict[str, Any]:
    """What every VRS file holds: `imu["seconds"]` of movement."""
    held: dict[str, Any] = {"seconds": 20.4}
    monkeypatch.setattr(vrs, "read", lambda file, stream: vrs.Imu(*moving(held["seconds"], 1000), held.get("bad", 0)))
    return held


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_a_take_gives_a_window_for_each_narration(disk: Disk, imu: dict[str, Any], moving) -> None:
    folder = disk.take()
    said = [description("C lifts the Wheel.", 10.2), description("C picks #unsure", 1.0), description("C waits", 20.1)]
    disk.write("train", annotated(**{UID: [said, [description("C other annotator", 5)]]}))
    data = EgoExo4D(disk.root)
    (take,) = data.takes()
    assert take == Take(UID, "657", "train")
    found = data.read(take)
    assert found.captions == ("picks something", "lifts the wheel.", "waits")
    assert found.start_ns.tolist() == [0, 7_000_000_000, 15_000_000_000]
    assert found.labels == ("Remove a Wheel",) * 3
    assert found.left_out == {}
    assert found.video is not None
    assert found.video.file == folder / "frame_aligned_videos" / "aria01_214-1.mp4"
    assert found.video.start_s.tolist() == [0, 7, 15]
    assert (found.windows.shape, found.windows.dtype) == ((3, 6, 250), np.float32)
    stream = {w.start_ns: w.imu for w in windows_of(Recording("", "", "", *moving(20.4, 1000)))}
    for start, window in zip(found.start_ns.tolist(), found.windows, strict=True):
        assert np.array_equal(window, stream[start])


def test_another_annotator_and_others_subjects(disk: Disk, imu: dict[str, Any]) -> None:
    disk.take()
    said = [description("C waits", 6.0), description("O waves", 9.0, subject="O")]
    disk.write("val", annotated(**{UID: [[description("C first", 5)], said]}))
    data = EgoExo4D(disk.root, annotator=1)
    (take,) = data.takes()
    assert take.split == "val"
    found = data.read(take)
    assert found.captions == ("waits",)
    assert found.left_out == {f"{UID}: narrations": "1 of someone else"}
    assert EgoExo4D(disk.root, annotator=1, others=True).read(take).captions == ("waits", "o waves")
    missing = EgoExo4D(disk.root, annotator=2).read(take)
    assert len(missing.windows) == 0
    assert missing.left_out == {f"{UID}: annotator": "number 2 asked for (from 0), of 2"}


def test_without_participant_or_task_the_take_is_the_user_and_has_no_label(disk: Disk, imu: dict[str, Any]) -> None:
    disk.take(participant_uid=None, task_name=None, parent_task_name=None, seconds=None)
    disk.write("train", annotated(**{UID: [[description("C waits", 6)]]}))
    data = EgoExo4D(disk.root)
    (take,) = data.takes()
    assert take.user == UID
    assert data.read(take).labels == (None,)
    disk.takes.clear()
    shutil.rmtree(disk.root / "takes")
    disk.take(task_name=None)
    assert data.read(take).labels == ("Bike Repair",)  # a changed file is read again


def test_the_imu_may_end_100_ms_before_the_window_not_more(disk: Disk, imu: dict[str, Any]) -> None:
    disk.take(seconds=20.0)
    disk.write("train", annotated(**{UID: [[description("C waits", 19), description("C goes", 5)]]}))
    data = EgoExo4D(disk.root)
    imu["seconds"] = 19.9
    found = data.read(Take(UID, "657"))
    assert found.captions == ("goes", "waits")
    assert (found.windows[1] == 0).all(axis=0).sum() == 4
    imu["seconds"] = 19.87
    found = data.read(Take(UID, "657"))
    assert found.captions == ("goes",)
    assert found.left_out == {f"{UID}_15_20": "the IMU ends 0.12 s before it does; at most 0.1 s is padded"}
    imu["seconds"], imu["bad"] = 12.0, 3
    found = data.read(Take(UID, "657"))
    assert found.left_out[f"{UID}: IMU"] == "aria01_noimagestreams.vrs ends at 12.0 s of 20.0 s: half downloaded?"
    assert found.left_out[f"{UID}: records"] == "3 of aria01_noimagestreams.vrs are invalid"
    assert f"{UID}_15_20" in found.left_out


def test_windows_where_nothing_is_said(disk: Disk, imu: dict[str, Any]) -> None:
    disk.take()
    disk.take("no-narration-at-all")
    disk.write("train", annotated(**{UID: [[description("C waits", 10.5)]]}))
    assert [t.name for t in EgoExo4D(disk.root).takes()] == [UID]
    data = EgoExo4D(disk.root, unnarrated_hop_s=5)
    described, silent = data.takes()
    assert silent == Take("no-narration-at-all", "657", "")
    found = data.read(described)
    assert list(zip((found.start_ns // 10**9).tolist(), found.captions, strict=True)) == [
        (0, None), (5, None), (8, "waits"), (15, None)]  # fmt: skip
    found = data.read(silent)
    assert (found.start_ns // 10**9).tolist() == [0, 5, 10, 15]
    assert found.captions == (None,) * 4


def test_bad_windows_are_left_out_and_named(disk: Disk, imu: dict[str, Any], tmp_path: Path) -> None:
    disk.take()
    disk.write("train", annotated(**{UID: [[description("C waits", 10.5), description("C goes", 4)]]}))
    for content in (f"{UID}_8_13\n", f'["{UID}_8.0_13.0", "other_1_6"]', f'"{UID}_8_13",\r\n'):
        (tmp_path / "bad.txt").write_text(content)
        found = EgoExo4D(disk.root, bad_windows=tmp_path / "bad.txt").read(Take(UID, "657"))
        assert found.captions == ("goes",)
        assert found.left_out == {f"{UID}_8_13": "it is in the list of bad windows"}
    (tmp_path / "bad.txt").write_text("nothing of the kind")
    with pytest.raises(DataSetError, match="expected <take_uid>_<start>_<end>"):
        read_bad(tmp_path / "bad.txt")
    with pytest.raises(DataSetError, match="cannot read the list"):
        read_bad(tmp_path / "none")


def test_what_of_a_take_is_missing_is_named(disk: Disk, imu: dict[str, Any]) -> None:
    folder = disk.take(video=False)
    disk.write("train", annotated(**{UID: [[description("C waits", 10)]], "unlisted": [[description("C x", 1)]]}))
    data = EgoExo4D(disk.root)
    take, unlisted = data.takes()
    found = data.read(take)
    assert found.video is None
    assert found.left_out == {f"{UID}: video": "there is no frame_aligned_videos/*_214-1.mp4"}
    with pytest.raises(DataSetError, match=r"takes\.json does not list it"):
        data.read(unlisted)
    (folder / "aria01_noimagestreams.vrs").write_bytes(b"")  # an empty file is a download that did not begin
    with pytest.raises(DataSetError, match=r"no \*_noimagestreams\.vrs"):
        data.read(take)
    shutil.rmtree(folder)
    with pytest.raises(DataSetError, match="not downloaded"):
        data.read(take)
    with pytest.raises(DataSetError, match="has no take elsewhere"):
        data.read(Take("elsewhere", ""))


def test_a_take_outside_of_the_folder_is_refused(disk: Disk, imu: dict[str, Any]) -> None:
    for outside in ("../../etc", "/etc", "takes/../..", "a\0b", "x" * 5000, "\ud800"):
        disk.takes.clear()
        shutil.rmtree(disk.root / "takes", ignore_errors=True)
        disk.take(root_dir=outside)
        disk.write("train", annotated(**{UID: [[description("C waits", 10)]]}))
        with pytest.raises(DataSetError):
            EgoExo4D(disk.root).read(Take(UID, ""))


def test_a_take_that_its_publishers_call_too_short_is_done_with(disk: Disk, imu: dict[str, Any]) -> None:
    disk.take(seconds=4.5)
    disk.write("train", annotated(**{UID: [[description("C waits", 1)]]}))
    with pytest.raises(NoWindowError, match=r"is shorter than 5 s \(4\.50 s by its publishers\)"):
        EgoExo4D(disk.root).read(Take(UID, ""))


def test_a_recording_of_the_glasses_themselves_is_named_too_short(disk: Disk, aria_file: Path) -> None:
    folder = disk.take(seconds=None)
    shutil.copy(aria_file, folder / "aria01_noimagestreams.vrs")
    disk.write("train", annotated(**{UID: [[description("C waits", 0.1)]]}))
    with pytest.raises(DataSetError, match=r"is shorter than 5 s \(0\.40 s\)") as caught:
        EgoExo4D(disk.root).read(Take(UID, ""))
    assert not isinstance(caught.value, NoWindowError)  # half a download opens, too
    (folder / "aria01_noimagestreams.vrs").write_bytes(aria_file.read_bytes()[:2000])
    with pytest.raises(DataSetError, match="VRS"):
        EgoExo4D(disk.root).read(Take(UID, ""))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("ds"),
        lambda c: c.pop("annotations"),
        lambda c: c.update(ds=3),
        lambda c: c.update(annotations=[]),
        lambda c: c["annotations"].update({UID: {}}),
        lambda c: c["annotations"].update({UID: [{"narrations": []}]}),
        lambda c: c["annotations"].update({UID: [None]}),
    ],
)
def test_annotations_of_another_version_are_named(disk: Disk, change: Any) -> None:
    disk.take()
    content = annotated(**{UID: [[description("C waits", 10)]]})
    change(content)
    disk.write("val", content)
    with pytest.raises(DataSetError, match=r"atomic_descriptions_val\.json is of another version"):
        list(EgoExo4D(disk.root).takes())
    assert EgoExo4D(disk.root, splits=("train",)).takes() == []


def test_broken_narrations_are_counted(disk: Disk, imu: dict[str, Any]) -> None:
    disk.take()
    broken = [description("C x", t) for t in (math.nan, math.inf, 10**400, True, "3", None)]
    broken += [None, 3, {}, description("C", 3), description("C x", 3) | {"text": None}]
    beyond = [description("C y", -1), description("C z", 20.5)]
    disk.write("train", annotated(**{UID: [[*broken, *beyond, description("C a\ud800", 3)]]}))
    found = EgoExo4D(disk.root).read(Take(UID, ""))
    assert found.captions == ("a?",)
    assert found.left_out == {
        f"{UID}: broken narrations": "11 without text or time",
        f"{UID}: narrations outside": "2 before the take's start or after its end at 20.40 s",
    }


def test_files_missing_or_cut_short_are_named(disk: Disk) -> None:
    with pytest.raises(DataSetError, match=r"there is no .*takes\.json"):
        EgoExo4D(disk.root).takes()
    disk.take()
    disk.write("train", annotated(**{UID: [[description("C waits", 10)]]}))
    for file in (disk.root / "takes.json", disk.root / "annotations" / "atomic_descriptions_train.json"):
        whole = file.read_bytes()
        for size in range(0, len(whole), 7):
            file.write_bytes(whole[:size])
            with pytest.raises(DataSetError, match=file.name):
                EgoExo4D(disk.root).takes()
        for other in (b"[" * 200_000, b"\xff\xfe", b"{}", b"[1]", b"null", b'[{"take_uid": 1}]'):
            file.write_bytes(other)
            with pytest.raises(DataSetError, match=file.name):
                EgoExo4D(disk.root).takes()
        file.write_bytes(whole)
    file.unlink()
    with pytest.raises(DataSetError, match=r"there is no .*atomic_descriptions_train\.json"):
        EgoExo4D(disk.root).takes()


@pytest.mark.parametrize(
    "options", [{"splits": ()}, {"splits": ("test",)}, {"annotator": -1}, {"unnarrated_hop_s": 0},
                {"unnarrated_hop_s": 2.5}, {"unnarrated_hop_s": True}]
)  # fmt: skip
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(DataSetError):
        EgoExo4D(tmp_path, **options)


def test_it_can_be_pickled(disk: Disk) -> None:
    data = EgoExo4D(disk.root, bad_windows=disk.root / "bad")
    assert pickle.loads(pickle.dumps(data)) == data


@given(st.floats(0, 1e4), st.floats(5, 1e4))
def test_a_window_lies_inside_of_its_take_and_around_its_narration(second: float, seconds: float) -> None:
    start = start_of(min(second, seconds), seconds)
    assert 0 <= start <= seconds - 5
    if 2.5 <= second <= seconds - 3.5:
        assert start <= second - 2.5 < start + 1


def test_a_take_of_absurd_length_is_no_harm(moving) -> None:
    grid = grid_of(*moving(12, 100))
    found = cut(grid, Narrated("a", 1e300, (Narration(1e299, "far"), Narration(4.0, "near")), hop=1))
    assert found.captions.count("near") == 1
    assert len(found.left_out) == 1
