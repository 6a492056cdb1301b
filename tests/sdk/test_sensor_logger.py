"""Exports of Sensor Logger, as the app writes them on either platform: out come m/s^2 with gravity and rad/s."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from primus_sdk.errors import RecordingError
from primus_sdk.recordings import sensor_logger
from primus_sdk.windowing.sensors import STANDARD_GRAVITY

START_NS = 1_698_501_144_401_773_123
ROWS = 50
UP = np.array([0.0, 0.0, STANDARD_GRAVITY])  # at rest, flat, as Android reports it
MOTION = np.array([0.5, -1.0, 2.0])
RATES = np.array([0.1, 0.2, -0.3])
METADATA = (
    "version,device name,recording epoch time,recording time,recording timezone,platform,appVersion,device id,sensors,"
    "sampleRateMs,standardisation,platform version\n"
    "3,A phone,1698501144401,2026-08-28_13-21-44,Europe/Berlin,{platform},1.64,id,A|B,10|10,{standardised},36\n"
)


def stamps(hertz: float = 100) -> np.ndarray:
    return START_NS + (np.arange(ROWS) * 1e9 / hertz).astype(np.int64)


def sensor(values: np.ndarray, times: np.ndarray | None = None, header: str = "time,seconds_elapsed,z,y,x") -> bytes:
    """A sensor's CSV; `values` are x, y, z, the columns come as z, y, x."""
    times = stamps() if times is None else times
    rows = np.broadcast_to(values, (len(times), 3))
    lines = [
        f"{t},{(t - START_NS) / 1e9:.9f},{z!r},{y!r},{x!r}" for t, (x, y, z) in zip(times, rows.tolist(), strict=True)
    ]
    return "\n".join([header, *lines, ""]).encode()


def headphone(acceleration: np.ndarray, gravity: np.ndarray, rates: bool = True) -> bytes:
    kinds = {"rotationRate": RATES} if rates else {}
    kinds |= {"gravity": gravity, "acceleration": acceleration}
    header = ",".join(
        ["time", "seconds_elapsed", *(f"{kind}{axis}" for kind in kinds for axis in "XYZ"), "devicelocation"]
    )
    numbers = ",".join(repr(float(value)) for values in kinds.values() for value in values)
    lines = [f"{t},{i / 25},{numbers},left" for i, t in enumerate(stamps(25))]
    return "\n".join([header, *lines, ""]).encode()


def metadata(platform: str, standardised: str = "false") -> bytes:
    return METADATA.format(platform=platform, standardised=standardised).encode()


def android() -> dict[str, bytes]:
    return {
        "TotalAcceleration.csv": sensor(UP + MOTION),
        "Accelerometer.csv": sensor(MOTION),
        "Gravity.csv": sensor(UP),
        "Gyroscope.csv": sensor(RATES, stamps() + 3_000_000),
        "Metadata.csv": metadata("android"),
        "Annotation.csv": b"",
    }


def ios(standardised: bool = False) -> dict[str, bytes]:
    sign = 1.0 if standardised else -1.0
    return {
        "Accelerometer.csv": sensor(sign * MOTION),
        "Gravity.csv": sensor(sign * UP),
        "Gyroscope.csv": sensor(RATES),
        "Metadata.csv": metadata("ios", str(standardised).lower()),
    }


def airpods(standardised: bool = False) -> dict[str, bytes]:
    sign, unit = (1.0, 1.0) if standardised else (-1.0, STANDARD_GRAVITY)
    return {
        "Headphone.csv": headphone(sign * MOTION / unit, sign * UP),
        "Metadata.csv": metadata("ios", str(standardised).lower()),
    }


def folder(root: Path, files: dict[str, bytes]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).write_bytes(content)
    return root


def packed(path: Path, files: dict[str, bytes], within: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(within + name, content)
    return path


@pytest.mark.parametrize(
    "files", [android(), ios(), ios(standardised=True), airpods(), airpods(standardised=True)],
    ids=["android", "ios", "ios-standardised", "airpods", "airpods-standardised"],
)  # fmt: skip
def test_every_platform_gives_the_same_motion_in_si_units_and_androids_sign(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    log = sensor_logger.read(folder(tmp_path / "walk", files))
    assert log.name == "walk"
    assert log.notes == ()
    np.testing.assert_allclose(log.accelerometer.values, np.broadcast_to(UP + MOTION, (ROWS, 3)), atol=1e-9)
    np.testing.assert_allclose(log.gyroscope.values, np.broadcast_to(RATES, (ROWS, 3)))


def test_each_sensor_keeps_its_own_timestamps_to_the_nanosecond(tmp_path: Path) -> None:
    log = sensor_logger.read(folder(tmp_path / "walk", android()))
    np.testing.assert_array_equal(log.accelerometer.timestamps_ns, stamps())
    np.testing.assert_array_equal(log.gyroscope.timestamps_ns, stamps() + 3_000_000)


@pytest.mark.parametrize("within", ["", "walk-2026/"])
def test_the_zip_gives_what_the_folder_gives(tmp_path: Path, within: str) -> None:
    one = sensor_logger.read(folder(tmp_path / "walk", ios()))
    other = sensor_logger.read(packed(tmp_path / "walk.zip", ios(), within))
    np.testing.assert_array_equal(one.accelerometer.values, other.accelerometer.values)
    assert (one.name, one.device, one.notes) == (other.name, other.device, other.notes)


def test_the_headphone_is_preferred_and_the_phone_can_be_asked_for(tmp_path: Path) -> None:
    both = folder(tmp_path / "walk", ios() | airpods())
    assert sensor_logger.read(both).device == sensor_logger.read(both, "headphone").device == "headphone"
    phone = sensor_logger.read(both, "phone")
    assert phone.device == "phone"
    np.testing.assert_array_equal(phone.accelerometer.timestamps_ns, stamps())
    with pytest.raises(RecordingError, match="'headphone' or 'phone'"):
        sensor_logger.read(both, "watch")  # type: ignore[arg-type]


def test_without_metadata_it_says_what_it_took_the_files_for(tmp_path: Path) -> None:
    for make, words in ((android, "android"), (ios, "ios"), (airpods, "taken as g")):
        files = make()
        del files["Metadata.csv"]
        log = sensor_logger.read(folder(tmp_path / words, files))
        assert len(log.notes) == 1
        assert words in log.notes[0]
        np.testing.assert_allclose(log.accelerometer.values[0], UP + MOTION, atol=1e-9)


def test_gravity_of_size_1_is_taken_as_g_and_said(tmp_path: Path) -> None:
    files = android() | {"TotalAcceleration.csv": sensor(np.array([0.0, 0.6, 0.8]))}
    log = sensor_logger.read(folder(tmp_path / "walk", files))
    np.testing.assert_allclose(log.accelerometer.values[0], np.array([0.0, 0.6, 0.8]) * STANDARD_GRAVITY)
    assert "TotalAcceleration.csv taken as g" in log.notes[0]
    files = android() | {"TotalAcceleration.csv": sensor(np.array([0.0, 600.0, 800.0]))}
    with pytest.raises(RecordingError, match=r"usual size of 1e\+03; expected about 9.8"):
        sensor_logger.read(folder(tmp_path / "walk", files))


def test_gravity_is_taken_of_the_same_moment_where_its_clock_differs(tmp_path: Path) -> None:
    ramp = -UP + np.linspace(0, 0.49, ROWS)[:, np.newaxis]
    files = ios() | {"Gravity.csv": sensor(ramp, stamps() + 5_000_000)}
    log = sensor_logger.read(folder(tmp_path / "walk", files))
    expected = -(-MOTION - UP + np.clip(np.arange(ROWS) - 0.5, 0, None)[:, np.newaxis] * 0.01)
    np.testing.assert_allclose(log.accelerometer.values, expected, atol=1e-6)


def test_motion_without_gravity_beside_it_is_left_out_and_said(tmp_path: Path) -> None:
    log = sensor_logger.read(folder(tmp_path / "walk", ios() | {"Gravity.csv": sensor(-UP, stamps()[:20])}))
    assert len(log.accelerometer.timestamps_ns) == 30  # 0.1 s beyond the last gravity
    assert "20 rows of Accelerometer.csv left out" in log.notes[0]


def test_motion_and_gravity_of_different_times_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="hardly a moment in common"):
        sensor_logger.read(folder(tmp_path / "walk", ios() | {"Gravity.csv": sensor(-UP, stamps() - 10**12)}))


def test_late_rows_are_put_in_order_and_said(tmp_path: Path) -> None:
    times = stamps()
    times[[7, 9]] = times[[9, 7]]
    log = sensor_logger.read(folder(tmp_path / "walk", android() | {"TotalAcceleration.csv": sensor(UP, times)}))
    assert (np.diff(log.accelerometer.timestamps_ns) > 0).all()
    assert log.notes == ("2 rows of TotalAcceleration.csv were late and are put in order",)


def test_a_clock_that_steps_back_is_left_for_the_stream_to_see(tmp_path: Path) -> None:
    times = stamps()
    times[25:] -= 60_000_000_000
    log = sensor_logger.read(folder(tmp_path / "walk", android() | {"TotalAcceleration.csv": sensor(UP, times)}))
    np.testing.assert_array_equal(log.accelerometer.timestamps_ns, times)
    assert "steps back in time by" in log.notes[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n").replace(b"time,", b'"time",'),
        lambda content: content.replace(b"\n", b"\n\n"),
        lambda content: content[:-1],
    ],
    ids=["bom", "crlf", "bom-crlf-quotes", "blank-lines", "no-last-line-end"],
)
def test_the_forms_of_a_csv_do_not_matter(tmp_path: Path, change) -> None:
    files = android()
    plain = sensor_logger.read(folder(tmp_path / "a", files))
    other = sensor_logger.read(folder(tmp_path / "b", files | {"Gyroscope.csv": change(files["Gyroscope.csv"])}))
    np.testing.assert_array_equal(plain.gyroscope.values, other.gyroscope.values)
    np.testing.assert_array_equal(plain.gyroscope.timestamps_ns, other.gyroscope.timestamps_ns)


@pytest.mark.parametrize("field", [b"nan", b"", b"inf"])
def test_a_row_without_a_number_is_left_out_and_counted(tmp_path: Path, field: bytes) -> None:
    lines = android()["Gyroscope.csv"].split(b"\n")
    lines[3] = lines[3].rpartition(b",")[0] + b"," + field
    log = sensor_logger.read(folder(tmp_path / "walk", android() | {"Gyroscope.csv": b"\n".join(lines)}))
    assert len(log.gyroscope.timestamps_ns) == ROWS - 1
    assert log.notes == ("1 rows of Gyroscope.csv left out: a value is missing or not finite",)


def test_a_last_row_that_was_cut_is_left_out_and_said(tmp_path: Path) -> None:
    content = android()["Gyroscope.csv"]
    log = sensor_logger.read(folder(tmp_path / "walk", android() | {"Gyroscope.csv": content[: content.rindex(b",")]}))
    assert len(log.gyroscope.timestamps_ns) == ROWS - 1
    assert log.notes == ("the last row of Gyroscope.csv left out: it is cut short",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Gyroscope.csv": None}, "no Gyroscope.csv; switch this sensor on"),
        ({"TotalAcceleration.csv": None, "Gravity.csv": None}, "no Gravity.csv: the phone's"),
        ({"Gyroscope.csv": b""}, "Gyroscope.csv is empty"),
        ({"Gyroscope.csv": b"time,seconds_elapsed,z,y\n1,2,3,4\n"}, "Gyroscope.csv has no column 'x'"),
        ({"Gyroscope.csv": b"time,z,y,x,x\n1,2,3,4,5\n"}, "more than one column 'x'"),
        ({"Gyroscope.csv": b"time,z,y,x\n1,2,3,4\n2,3,what,5\n"}, "Gyroscope.csv, line 3: expected numbers"),
        ({"Gyroscope.csv": b"time,z,y,x\n1,2,3,4\n2,3\n3,4,5,6\n"}, "Gyroscope.csv, line 3: expected numbers"),
        ({"Gyroscope.csv": b"time,z,y,x\n99999999999999999999,2,3,4\n"}, "line 2"),
        ({"Gyroscope.csv": b"time,z,y,x\n1,2,3,4\n"}, "has 1 rows"),
        ({"Gyroscope.csv": b"\0\1\2"}, "no CSV"),
        ({"Gyroscope.csv": b'time,z,y,x\n"1,2,3,4\n2,3,4,5\n'}, "line 2"),
    ],
)
def test_what_cannot_be_read_is_named_with_file_and_line(tmp_path: Path, changes: dict, message: str) -> None:
    files = {name: content for name, content in (android() | changes).items() if content is not None}
    with pytest.raises(RecordingError, match=message):
        sensor_logger.read(packed(tmp_path / "walk.zip", files))


def test_headphones_of_an_old_app_have_no_rates_and_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"Headphone.csv has no column 'rotationRateX'"):
        sensor_logger.read(folder(tmp_path / "walk", {"Headphone.csv": headphone(MOTION, -UP, rates=False)}))


def test_every_cut_of_a_zip_is_an_error_of_ours(tmp_path: Path) -> None:
    whole = packed(tmp_path / "walk.zip", ios()).read_bytes()
    path = tmp_path / "cut.zip"
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        with pytest.raises(RecordingError):
            sensor_logger.read(path)


def test_flipped_bytes_give_the_truth_or_an_error_of_ours(tmp_path: Path) -> None:
    whole = packed(tmp_path / "walk.zip", ios()).read_bytes()
    truth = sensor_logger.read(tmp_path / "walk.zip")
    path, random = tmp_path / "bad.zip", np.random.default_rng(0)
    for place in random.permutation(len(whole))[:150]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(random.integers(8))]) + whole[place + 1 :])
        try:
            log = sensor_logger.read(path)
        except RecordingError:
            continue
        if log.device == "phone" and not log.notes:
            np.testing.assert_array_equal(log.accelerometer.values, truth.accelerometer.values)


def test_only_an_export_is_one(tmp_path: Path) -> None:
    assert sensor_logger.is_export(folder(tmp_path / "walk", android()))
    assert sensor_logger.is_export(packed(tmp_path / "walk.zip", airpods(), "in/"))
    assert not sensor_logger.is_export(folder(tmp_path / "other", {"notes.txt": b""}))
    assert not sensor_logger.is_export(packed(tmp_path / "other.zip", {"notes.txt": b""}))
    assert not sensor_logger.is_export(tmp_path / "absent")
    with pytest.raises(RecordingError, match="no export of Sensor Logger"):
        sensor_logger.read(tmp_path / "other")
    with pytest.raises(RecordingError, match="nothing at"):
        sensor_logger.read(tmp_path / "absent")


def test_a_log_becomes_a_labelled_recording(tmp_path: Path) -> None:
    recording = sensor_logger.read(folder(tmp_path / "walk", android())).recording("me", "walking")
    assert (recording.name, recording.user, recording.label) == ("walk", "me", "walking")
