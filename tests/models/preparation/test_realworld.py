from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from primus_models.errors import DataSetError, NoWindowError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources.realworld import ACTIVITIES, RealWorld
from primus_sdk.recordings import Samples

WALK = Take("proband1/walking", "proband1")
EPOCH_MS = 1_435_993_384_000


def rows(samples: Samples) -> str:
    lines = ["id,attr_time,attr_x,attr_y,attr_z"]
    for n, (time, value) in enumerate(zip(samples.timestamps_ns.tolist(), samples.values.tolist(), strict=True), 1):
        lines.append(",".join([str(n), str(EPOCH_MS + time // 1_000_000), *map(repr, value)]))
    return "\n".join(lines) + "\n"


def zipped(files: dict[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def put(root: Path, proband: str, name: str, content: bytes) -> Path:
    folder = root / proband / "data"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def walking(root: Path, acc: str, gyr: str, number: str = "") -> tuple[Path, Path]:
    return (
        put(root, "proband1", "acc_walking_csv.zip",
            zipped({f"acc_walking{number}_head.csv": acc, f"acc_walking{number}_chest.csv": "x"})),
        put(root, "proband1", "gyr_walking_csv.zip", zipped({f"Gyroscope_walking{number}_head.csv": gyr})),
    )  # fmt: skip


def test_an_activity_gives_windows_with_its_label(tmp_path: Path, moving) -> None:
    acc, gyr = moving(23, 50)
    walking(tmp_path, rows(acc), rows(gyr))
    data = RealWorld(tmp_path, captions=True)
    assert list(data.takes()) == [WALK]
    found = data.read(WALK)
    assert found.windows.shape == (4, 6, 250)
    assert found.labels == ("walking",) * 4
    assert found.captions == ("a person is walking",) * 4
    assert (found.start_ns[0] - EPOCH_MS * 10**6, found.left_out) == (0, {})
    assert np.diff(found.start_ns).tolist() == [5 * 10**9] * 3
    at = (found.start_ns[1] - EPOCH_MS * 10**6) / 1e9 + np.arange(250) / 50
    for axis in range(3):
        direct = np.interp(at, acc.timestamps_ns / 1e9, acc.values[:, axis])
        assert np.abs(found.windows[1, axis] - direct).max() < 0.1
        direct = np.interp(at, gyr.timestamps_ns / 1e9, gyr.values[:, axis])
        assert np.abs(found.windows[1, 3 + axis] - direct).max() < 0.1
    assert RealWorld(tmp_path, hop_s=2.5).read(WALK).windows.shape == (8, 6, 250)
    assert RealWorld(tmp_path).read(WALK).captions == (None,) * 4


def test_zips_of_zips_are_paired_by_their_numbers(tmp_path: Path, moving) -> None:
    parts = {n: [rows(s) for s in moving(6 + n, 50, seed=n)] for n in (1, 2, 3)}
    acc = {
        "acc_climbingup_1_csv.zip": zipped({"acc_climbingup_head.csv": parts[1][0]}),
        "acc_climbingup_2_csv.zip": zipped({"acc_climbingup_2_head.csv": parts[2][0]}),
        "acc_climbingup_3_csv.zip": zipped({"acc_climbingup_3_head.csv": parts[3][0]}),
    }
    gyr = {
        "gyr_climbingup_csv.zip": zipped({"Gyroscope_climbingup_head.csv": parts[1][1]}),
        "gyr_climbingup_2_csv.zip": zipped({"Gyroscope_climbingup_2_head.csv": parts[2][1]}),
        "__MACOSX/._gyr_climbingup_3_csv.zip": b"no zip",
    }
    put(tmp_path, "proband4", "acc_climbingup_csv.zip", zipped(acc))
    put(tmp_path, "proband4", "gyr_climbingup_csv.zip", zipped(gyr))
    found = RealWorld(tmp_path).read(Take("proband4/climbingup", "proband4"))
    assert found.labels == ("climbing up",) * 2
    assert found.left_out == {"proband4/climbingup/3": "the gyroscope's file is missing, or cannot be read"}


def test_a_single_recording_may_bear_the_number_2(tmp_path: Path, moving) -> None:
    acc, gyr = map(rows, moving(6, 50))
    walking(tmp_path, acc, gyr, "_2")
    assert len(RealWorld(tmp_path).read(WALK).windows) == 1
    put(tmp_path, "proband1", "gyr_walking_csv.zip", zipped({"gyr_walking_head.csv": gyr}))
    assert len(RealWorld(tmp_path).read(WALK).windows) == 1


def test_takes_come_in_order_and_what_is_missing_is_named(tmp_path: Path, moving) -> None:
    acc, gyr = map(rows, moving(6, 50))
    for proband in ("proband10", "proband2"):
        put(tmp_path, proband, "acc_walking_csv.zip", zipped({"acc_walking_waist.csv": acc}))
        put(tmp_path, proband, "acc_jumping_csv.zip", zipped({"acc_jumping_head.csv": acc}))
    put(tmp_path, "proband2", "gyr_walking_csv.zip", zipped({"Gyroscope_walking_waist.csv": gyr}))
    data = RealWorld(tmp_path)
    assert [t.name for t in data.takes()] == [
        "proband2/jumping", "proband2/walking", "proband10/jumping", "proband10/walking"]  # fmt: skip
    with pytest.raises(NoWindowError, match=r"has no window at the head: no file of it is there"):
        data.read(Take("proband2/walking", ""))
    with pytest.raises(DataSetError, match=r"gyr_jumping_csv\.zip.*the gyroscope's file is missing") as caught:
        data.read(Take("proband2/jumping", ""))
    assert not isinstance(caught.value, NoWindowError)  # the zip may be on its way
    assert len(RealWorld(tmp_path, "waist").read(Take("proband2/walking", "")).windows) == 1
    for strange in ("proband2/swimming", "../proband2/walking", "proband2", ""):
        with pytest.raises(DataSetError, match="has no take"):
            data.read(Take(strange, ""))
    with pytest.raises(DataSetError, match="expected one of chest"):
        RealWorld(tmp_path, "elbow")
    with pytest.raises(DataSetError, match="hop"):
        RealWorld(tmp_path, hop_s=0)
    for wrong in (tmp_path / "proband2", tmp_path / "none"):
        with pytest.raises(DataSetError):
            RealWorld(wrong).takes()
    assert pickle.loads(pickle.dumps(data)) == data
    assert len(ACTIVITIES) == 8


def test_acceleration_in_g_and_recordings_too_short_are_refused(tmp_path: Path, moving) -> None:
    acc, gyr = moving(6, 50)
    walking(tmp_path, rows(Samples(acc.timestamps_ns, acc.values / 9.81)), rows(gyr))
    with pytest.raises(DataSetError, match=r"expected about 9\.8 m/s\^2"):
        RealWorld(tmp_path).read(WALK)
    walking(tmp_path, *map(rows, moving(4.9, 50)))
    with pytest.raises(NoWindowError, match="shorter than 5 s"):
        RealWorld(tmp_path).read(WALK)


def test_broken_rows_are_counted_and_other_columns_named(tmp_path: Path, moving) -> None:
    acc, gyr = map(rows, moving(6, 50))
    lines = acc.splitlines()
    lines[20], lines[30] = "20,,1,2,3", "30,1435993384600,NaN,2,3"
    walking(tmp_path, "\n".join(lines)[:-3], gyr)
    found = RealWorld(tmp_path).read(WALK)
    assert found.left_out["proband1/walking/1: acc_walking_head.csv"].startswith("2 rows")
    walking(tmp_path, acc.replace("attr_x", "x"), gyr)
    with pytest.raises(DataSetError, match="no column 'attr_x'"):
        RealWorld(tmp_path).read(WALK)


def test_truncated_zips_give_typed_errors_only(tmp_path: Path, moving) -> None:
    acc, gyr = map(rows, moving(6, 50))
    inner = zipped({"acc_walking_head.csv": acc})
    for content in (inner, zipped({"acc_walking_1_csv.zip": inner})):
        file, _ = walking(tmp_path, acc, gyr)
        generator = np.random.default_rng(0)
        for size in [*range(0, len(content), 997), len(content) - 1]:
            file.write_bytes(content[:size])
            with pytest.raises(DataSetError):
                RealWorld(tmp_path).read(WALK)
        for _ in range(60):
            broken = bytearray(content)
            for at in [*generator.integers(0, len(content), 3).tolist(), len(content) - generator.integers(1, 120)]:
                broken[at] = generator.integers(0, 256)
            file.write_bytes(bytes(broken))
            with contextlib.suppress(DataSetError):
                assert np.isfinite(RealWorld(tmp_path).read(WALK).windows).all()


def test_bombs_are_refused_and_nothing_is_written(tmp_path: Path, moving) -> None:
    acc, gyr = map(rows, moving(6, 50))
    file, _ = walking(tmp_path, acc, gyr)
    bomb = "id,attr_time,attr_x,attr_y,attr_z\n" + "0" * (30 << 20)
    for content in (zipped({"acc_walking_head.csv": bomb}),
                    zipped({"acc_walking_1_csv.zip": zipped({"acc_walking_head.csv": bomb})})):  # fmt: skip
        file.write_bytes(content)
        with pytest.raises(DataSetError, match="more than a recording"):
            RealWorld(tmp_path).read(WALK)
    file.write_bytes(zipped({"../../acc_walking_head.csv": acc}))
    before = sorted(tmp_path.parent.rglob("*"))
    assert len(RealWorld(tmp_path).read(WALK).windows) == 1
    assert sorted(tmp_path.parent.rglob("*")) == before
