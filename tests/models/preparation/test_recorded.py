"""The data sets that wrap the SDK's readers: ClassyGlass, the watch data, one's own folder, Aria's glasses."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from primus_models.errors import DataSetError, NoWindowError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources import recorded, vrs
from primus_models.preparation.sources.aria import Aria
from primus_models.preparation.sources.classyglass import ClassyGlass
from primus_models.preparation.sources.folder import Folder
from primus_models.preparation.sources.watch import Watch
from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording, Samples, classyglass, watch
from primus_sdk.recordings.windows import windows_of


def glass_file(root: Path, user: int, experiment: int, sensor: str, samples: Samples, unit: str, factor: float) -> Path:
    folder = root / "Datasets" / "Dataset_1A" / f"User{user}"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{experiment}_MetaWear_2019-09-12T13.30.11_C8D3_{sensor}_100.000Hz_1.4.5.csv"
    lines = [f"epoch (ms),time (+01:00),elapsed (s),x-axis ({unit}),y-axis ({unit}),z-axis ({unit})"]
    for time, value in zip(samples.timestamps_ns.tolist(), (samples.values / factor).tolist(), strict=True):
        lines.append(f"{1_568_291_411_000 + time // 10**6},2019,{time / 1e9:.3f},{value[0]},{value[1]},{value[2]}")
    file.write_text("\n".join(lines) + "\n")
    return file


def own(root: Path, label: str, name: str, seconds: float, moving: Any) -> None:
    (root / label).mkdir(parents=True, exist_ok=True)
    acc, gyr = moving(seconds, 100)
    rows = [f"{t / 1e9},{','.join(map(str, [*a, *g]))}" for t, a, g in
            zip(acc.timestamps_ns.tolist(), acc.values.tolist(), gyr.values.tolist(), strict=True)]  # fmt: skip
    (root / label / name).write_text("t,ax,ay,az,gx,gy,gz\n" + "\n".join(rows) + "\n")


def test_classyglass_by_its_sheets(tmp_path: Path, moving) -> None:
    acc, gyr = moving(13, 100)
    glass_file(tmp_path, 1, 3, "Accelerometer", acc, "g", 9.80665)
    gyroscope = glass_file(tmp_path, 1, 3, "Gyroscope", gyr, "deg/s", np.pi / 180)
    glass_file(tmp_path, 1, 4, "Accelerometer", acc, "g", 9.80665)
    data = ClassyGlass(tmp_path, captions=True)
    takes = {take.name: take for take in data.takes()}
    assert len(takes) == 342  # what the label sheets list
    assert takes["classyglass-3"].user == "1"
    found = data.read(takes["classyglass-3"])
    assert found.labels == ("typing", "typing")
    assert found.captions == ("a person is typing",) * 2
    (recording,) = classyglass.read(tmp_path)
    assert np.array_equal(found.windows, [w.imu for w in windows_of(recording, 5.0)])
    with pytest.raises(DataSetError, match="only the accelerometer's file") as caught:
        data.read(takes["classyglass-4"])
    assert not isinstance(caught.value, NoWindowError)  # the other file may be on its way
    for name in ("classyglass-5", "classyglass-999", "elsewhere", "classyglass-\u0663"):
        with pytest.raises(DataSetError, match="is not there"):
            data.read(Take(name, ""))
    gyroscope.write_bytes(gyroscope.read_bytes()[:-5])
    with pytest.raises(DataSetError, match=r"cut short|no ClassyGlass recording"):
        ClassyGlass(tmp_path).read(takes["classyglass-3"])
    with pytest.raises(DataSetError, match="nothing at"):
        ClassyGlass(tmp_path / "none").takes()


def test_classyglass_of_the_published_archive() -> None:
    archive = Path(__file__).parents[4] / "shared" / "data" / "classyglass-1AB.tar.xz"
    if not archive.is_file():
        pytest.skip("needs ../shared/data/classyglass-1AB.tar.xz, a published archive that is not in the repository")
    data = ClassyGlass(archive)
    total, unusable = 0, {}
    for take in data.takes():
        try:
            total += len(data.read(take).windows)
        except NoWindowError as error:  # so that nothing is kept for another try
            unusable[take.name] = str(error)
    assert set(unusable) == {f"classyglass-{n}" for n in (325, 326, 327)} | {"classyglass-173"}
    assert total > 3000


def test_the_watch_data(monkeypatch: pytest.MonkeyPatch, moving, tmp_path: Path) -> None:
    recordings = [Recording(f"watch-{i}", str(i), "pendulum", *moving(seconds, 50)) for i, seconds in ((1, 11), (2, 3))]
    monkeypatch.setattr(watch, "read", lambda path: recordings)
    data = Watch(tmp_path / "any")
    assert list(data.takes()) == [Take("watch-1", "1"), Take("watch-2", "2")]
    assert data.read(Take("watch-1", "1")).labels == ("pendulum",) * 2
    with pytest.raises(NoWindowError, match=r"shorter than 5 s.*accelerometer 3\.00 s"):
        data.read(Take("watch-2", "2"))


def test_the_watch_data_as_installed_and_damaged(tmp_path: Path) -> None:
    try:
        file = watch._installed()
    except RecordingError:
        pytest.skip("needs seglearn, of which only the data file is read")
    takes = list(Watch().takes())
    assert len(takes) == 140
    found = Watch(hop_s=2.5).read(takes[0])
    assert np.linalg.norm(found.windows[:, :3].mean(axis=2), axis=1) == pytest.approx(9.8, abs=4)
    content = file.read_bytes()
    for size in (0, 100, 5000, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.npy").write_bytes(content[:size])
        with pytest.raises(DataSetError, match="watch data"):
            Watch(tmp_path / "cut.npy").takes()


def test_ones_own_recordings(tmp_path: Path, moving) -> None:
    own(tmp_path, "nodding", "a.csv", 11, moving)
    own(tmp_path, "nodding", "short.csv", 2, moving)
    half = (tmp_path / "nodding" / "short.csv").read_bytes().rpartition(b",")[0]
    (tmp_path / "nodding" / "half.csv").write_bytes(half)
    (tmp_path / "nodding" / "b.csv").write_text("no recording")
    (tmp_path / "stray.txt").write_text("")
    data = Folder(tmp_path, captions=True)
    takes = {take.name: take for take in data.takes()}
    assert set(takes) == {"nodding/a.csv", "nodding/short.csv", "nodding/half.csv", "nodding/b.csv", "stray.txt"}
    assert takes["nodding/a.csv"].user == "wearer"
    found = data.read(takes["nodding/a.csv"])
    assert (found.labels, found.captions) == (("nodding",) * 2, ("a person is nodding",) * 2)
    with pytest.raises(NoWindowError, match=r"short\.csv is shorter than 5 s"):
        data.read(Take("nodding/short.csv", ""))
    # Half a download, one that its owner can mend, one that is not there: another try may read them.
    for name, why in (("nodding/half.csv", "shorter than 5 s"), ("nodding/b.csv", "no column"),
                      ("stray.txt", "no label's folder"), ("other", "not there")):  # fmt: skip
        with pytest.raises(DataSetError, match=why) as caught:
            data.read(Take(name, ""))
        assert not isinstance(caught.value, NoWindowError)
    with pytest.raises(DataSetError, match="no folder"):
        Folder(tmp_path / "none").takes()
    with pytest.raises(DataSetError, match="device"):
        Folder(tmp_path, device="shoe")  # type: ignore[arg-type]


def test_aria_folders_name_the_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving) -> None:
    for name in ("walking/one.vrs", "top.vrs"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(vrs, "read", lambda file, stream: vrs.Imu(*moving(11, 1000), 2))
    data = Aria(tmp_path, captions=True)
    assert [take.name for take in data.takes()] == ["top.vrs", "walking/one.vrs"]
    walking, top = data.read(Take("walking/one.vrs", "wearer")), data.read(Take("top.vrs", "wearer"))
    assert (walking.labels, walking.captions) == (("walking",) * 2, ("a person is walking",) * 2)
    assert (top.labels, top.captions) == ((None,) * 2, (None,) * 2)
    assert walking.left_out == {"walking/one.vrs: records": "2 are invalid"}
    with pytest.raises(DataSetError, match="outside"):
        data.read(Take("../../x.vrs", ""))
    for wrong in (tmp_path / "none", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(DataSetError, match="no VRS file"):
            Aria(wrong).takes()


def test_a_published_aria_recording_is_shorter_than_a_window(aria_file: Path, tmp_path: Path) -> None:
    shutil.copy(aria_file, tmp_path / "a.vrs")
    for data in (Aria(aria_file), Aria(tmp_path), Aria(tmp_path, stream="1202-2")):
        (take,) = data.takes()
        with pytest.raises(DataSetError, match=r"is shorter than 5 s.*accelerometer 0\.40 s") as caught:
            data.read(take)
        assert not isinstance(caught.value, NoWindowError)  # half a download opens, too
    for size in (0, 50, 1000, 40_000, 400_000):
        (tmp_path / "a.vrs").write_bytes(aria_file.read_bytes()[:size])
        with pytest.raises(DataSetError):
            Aria(tmp_path).read(Take("a.vrs", ""))


@pytest.mark.parametrize("kind", [Aria, ClassyGlass, Folder, Watch])
def test_hops_are_checked_and_all_can_be_pickled(tmp_path: Path, kind: Any) -> None:
    for hop in (0, -1, 0.01, float("nan"), float("inf"), 1e9, "5", None):
        with pytest.raises(DataSetError, match="hop"):
            kind(tmp_path, hop_s=hop)
    data = kind(tmp_path, hop_s=2.5)
    assert pickle.loads(pickle.dumps(data)) == data


def test_windows_of_several_recordings_come_together(moving) -> None:
    parts = [recorded.take_windows(Recording("", "", label, *moving(6, 50)), 5.0, False) for label in ("a", "b")]
    both = recorded.together(parts, {"x": "y"})
    assert (both.windows.shape, both.labels, both.left_out) == ((2, 6, 250), ("a", "b"), {"x": "y"})
