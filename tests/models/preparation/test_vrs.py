from __future__ import annotations

import builtins
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from primus_models.errors import DataSetError
from primus_models.preparation.sources import vrs


@pytest.mark.parametrize(("stream", "samples", "rate"), [("1202-1", 400, 1000), ("1202-2", 319, 800)])
def test_a_published_recording_gives_its_imu_in_si_units(
    aria_file: Path, capfd: pytest.CaptureFixture[str], stream: str, samples: int, rate: int
) -> None:
    imu = vrs.read(aria_file, stream)
    times = imu.accelerometer.timestamps_ns
    assert (len(times), times[0], imu.invalid) == (samples, 0, 0)
    assert rate == pytest.approx(1e9 / np.median(np.diff(times)), rel=0.02)
    assert imu.duration_s == pytest.approx(0.4, abs=0.01)
    gravity = imu.accelerometer.values.mean(axis=0)
    assert 8 < np.linalg.norm(gravity) < 11
    if stream == "1202-1":
        assert np.argmax(np.abs(gravity)) == 0
        assert gravity[0] < -7
        # The first record as the library shows it: m/s^2 and rad/s, nothing turned or scaled.
        assert imu.accelerometer.values[0] == pytest.approx([-7.8936830, 2.1428106, 2.6599581], abs=1e-6)
        assert imu.gyroscope.values[0] == pytest.approx([0.7740546, -0.1719530, -0.3263380], abs=1e-6)
    assert capfd.readouterr() == ("", "")


def test_a_stream_that_is_no_imus_or_not_there_is_named(aria_file: Path) -> None:
    for stream in ("214-1", "imu-right", "", "1202"):
        with pytest.raises(DataSetError, match="1202-1 or 1202-2"):
            vrs.read(aria_file, stream)
    with pytest.raises(DataSetError, match=r"no records of the stream 1202-7 .*1202-1"):
        vrs.read(aria_file, "1202-7")


def test_files_cut_short_give_their_whole_records_or_a_typed_error(aria_file: Path, tmp_path: Path) -> None:
    content, whole = aria_file.read_bytes(), vrs.read(aria_file)
    given = []
    for size in (0, 10, 100, 1000, 33_000, 100_000, 1_000_000, 3_000_000, len(content) - 10):
        file = tmp_path / "cut.vrs"
        file.write_bytes(content[:size])
        try:
            imu = vrs.read(file)
        except DataSetError as error:
            assert str(file) in str(error)  # noqa: PT017
            continue
        given.append(len(imu.accelerometer.timestamps_ns))
        assert np.array_equal(imu.accelerometer.values, whole.accelerometer.values[: given[-1]])
    assert given == sorted(given)
    assert 0 < given[0] < given[-1] <= 400


def test_no_file_and_no_vrs_are_named(aria_file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="there is no file"):
        vrs.read(tmp_path / "none.vrs")
    with pytest.raises(DataSetError, match="there is no file"):
        vrs.read(tmp_path)
    (tmp_path / "text.vrs").write_text("no VRS at all\n" * 100)
    with pytest.raises(DataSetError, match="is no VRS file"):
        vrs.read(tmp_path / "text.vrs")


class Provider:
    """A recording of the stream 1202-1 as projectaria-tools gives it."""

    def __init__(self, records: list[SimpleNamespace]) -> None:
        self.records = records

    def check_stream_is_active(self, stream: str) -> bool:
        return stream == "1202-1"

    def get_num_data(self, stream: str) -> int:
        return len(self.records)

    def get_imu_data_by_index(self, stream: str, index: int) -> SimpleNamespace:
        return self.records[index]

    def get_all_streams(self) -> list[str]:
        return ["1202-1"]


def record(time: int, accel_valid: bool = True, gyro_valid: bool = True, x: float = 0.0) -> SimpleNamespace:
    return SimpleNamespace(
        capture_timestamp_ns=time, accel_msec2=[x, 0, -9.8], gyro_radsec=[0, 0, 1],
        accel_valid=accel_valid, gyro_valid=gyro_valid,
    )  # fmt: skip


def provided(monkeypatch: pytest.MonkeyPatch, records: list[SimpleNamespace]) -> None:
    library = (SimpleNamespace(create_vrs_data_provider=lambda _: Provider(records)), SimpleNamespace(StreamId=str))
    monkeypatch.setattr(vrs, "_library", lambda: library)


def test_records_with_an_invalid_sensor_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    records = [record(5, accel_valid=False), record(10), record(20, gyro_valid=False), record(30, x=float("nan")),
               record(1 << 63), record(40)]  # fmt: skip
    provided(monkeypatch, records)
    (tmp_path / "a.vrs").touch()
    imu = vrs.read(tmp_path / "a.vrs")
    assert imu.accelerometer.timestamps_ns.tolist() == [0, 30]
    assert imu.gyroscope.values.tolist() == [[0, 0, 1]] * 2
    assert imu.invalid == 4
    provided(monkeypatch, records[:1])
    with pytest.raises(DataSetError, match="none of the 1 records"):
        vrs.read(tmp_path / "a.vrs")


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("projectaria_tools"):
            raise ImportError("no such module")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "a.vrs").touch()
    with pytest.raises(DataSetError, match=r"primus-imu\[prepare\]"):
        vrs.read(tmp_path / "a.vrs")
