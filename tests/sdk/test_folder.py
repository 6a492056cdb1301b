"""A folder of labelled recordings: what it may hold, what is left out of it, and what is refused."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Report
from primus_sdk.recordings import folder as folders
from primus_sdk.recordings.folder import turned
from primus_sdk.windowing.sensors import STANDARD_GRAVITY

ROWS = np.hstack([np.arange(20)[:, np.newaxis] / 100, np.arange(120).reshape(20, 6) / 10 + 1])
HEADER = "t,ax,ay,az,gx,gy,gz"


def table(header: str = HEADER, rows: np.ndarray = ROWS) -> bytes:
    return "\n".join([header, *(",".join(f"{value:.4f}" for value in row) for row in rows), ""]).encode()


def export(path: Path) -> Path:
    """A zip of Sensor Logger's, of a phone that lies flat."""
    rows = "".join(f"{1_700_000_000_000_000_000 + i * 10_000_000},{i / 100},9.81,0.0,0.0\n" for i in range(20))
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("TotalAcceleration.csv", "Gyroscope.csv"):
            archive.writestr(name, "time,seconds_elapsed,z,y,x\n" + rows)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two labels, with three files of the two kinds."""
    for label in ("sitting", "walking"):
        (tmp_path / "mine" / label).mkdir(parents=True)
    (tmp_path / "mine" / "sitting" / "sofa.csv").write_bytes(table())
    (tmp_path / "mine" / "walking" / "stroll.csv").write_bytes(table())
    export(tmp_path / "mine" / "walking" / "phone.zip")
    return tmp_path / "mine"


def test_the_label_is_the_folder_and_all_are_of_one_wearer(root: Path) -> None:
    report = Report()
    recordings = folders.read(root, report)
    assert [(r.name, r.label, r.user) for r in recordings] == [
        ("sitting/sofa.csv", "sitting", folders.WEARER),
        ("walking/phone.zip", "walking", folders.WEARER),
        ("walking/stroll.csv", "walking", folders.WEARER),
    ]
    assert (report.read, report.skipped) == (3, {})
    assert "android" in report.notes["walking/phone.zip"]
    np.testing.assert_allclose(recordings[0].accelerometer.values, ROWS[:, 1:4], atol=1e-9)
    np.testing.assert_allclose(recordings[0].gyroscope.values, ROWS[:, 4:], atol=1e-9)
    assert recordings[0].gyroscope.timestamps_ns.tolist() == [i * 10_000_000 for i in range(20)]


def test_an_unpacked_export_is_a_recording_too(root: Path) -> None:
    with zipfile.ZipFile(root / "walking" / "phone.zip") as archive:
        archive.extractall(root / "walking" / "unpacked")
    names = {r.name: r for r in folders.read(root)}
    np.testing.assert_array_equal(
        names["walking/unpacked"].accelerometer.values, names["walking/phone.zip"].accelerometer.values
    )


def test_the_index_names_label_and_user(root: Path) -> None:
    (root / "recordings.csv").write_bytes(
        b"\xef\xbb\xbffile,label,user\r\nwalking/stroll.csv,on foot,Ada\r\nsitting/sofa.csv,seated,\r\n"
    )
    assert [(r.name, r.label, r.user) for r in folders.read(root)] == [
        ("walking/stroll.csv", "on foot", "Ada"),
        ("sitting/sofa.csv", "seated", folders.WEARER),
    ]


@pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "walking/../../secret.csv", ".", "link.csv"])
def test_an_index_never_leads_outside_of_the_folder(root: Path, name: str) -> None:
    (root.parent / "secret.csv").write_bytes(table())
    (root / "link.csv").symlink_to(root.parent / "secret.csv")
    (root / "recordings.csv").write_text(f"file,label\nsitting/sofa.csv,a\n{name},b\n")
    with pytest.raises(RecordingError, match=r"row 3: .* lies outside"):
        folders.read(root)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("", "needs a header"),
        ("file,label\n", "needs a header"),
        ("name,label\na,b\n", "needs a header file,label,user and a row for each recording$"),
        ("File,Label\na,b\n", "needs a header .* differs in upper and lower case"),
        ("file,label\na\0b,x\n", "row 2: .* zero byte|line contains NUL"),
        ("file,label\nsitting/sofa.csv,\n", "row 2: a file and a label"),
        ("file,label\nsitting/sofa.csv,a\nsitting/sofa.csv,b\n", "row 3: sitting/sofa.csv is listed twice"),
    ],
)
def test_an_index_that_cannot_be_read_is_refused(root: Path, index: str, message: str) -> None:
    (root / "recordings.csv").write_text(index)
    with pytest.raises(RecordingError, match=message):
        folders.read(root)


def test_what_the_csv_files_are_is_declared_once(root: Path) -> None:
    scaled = ROWS * np.array([1000, *[-1 / STANDARD_GRAVITY] * 3, *[180 / np.pi] * 3])
    # The sensor's x axis is the training data's y axis.
    turned = scaled[:, [0, 2, 1, 3, 5, 4, 6]] * np.array([1, 1, -1, 1, 1, -1, 1])
    (root / "sitting" / "sofa.csv").write_text(
        "note;\n".replace(";\n", ",ms,a,b,c,d,e,f\n")
        + "".join("x," + ",".join(f"{value:.9f}" for value in row) + "\n" for row in turned)
    )
    declared = {
        "columns": ["ms", "a", "b", "c", "d", "e", "f"],
        "time_unit": "ms",
        "accelerometer_unit": "g",
        "gyroscope_unit": "deg/s",
        "convention": "ios",
        "mount": [0, -1, 0, 1, 0, 0, 0, 0, 1],
    }
    (root / "sensors.json").write_text(json.dumps(declared))
    report = Report()
    recordings = {r.name: r for r in folders.read(root, report)}
    np.testing.assert_allclose(recordings["sitting/sofa.csv"].accelerometer.values, ROWS[:, 1:4], atol=1e-6)
    np.testing.assert_allclose(recordings["sitting/sofa.csv"].gyroscope.values, ROWS[:, 4:], atol=1e-6)
    # Of all this an export takes the mount alone: its z stays, in its own unit and sign.
    np.testing.assert_allclose(recordings["walking/phone.zip"].accelerometer.values[0], [0, 0, 9.81])
    assert "no column 'ms'" in report.skipped["walking/stroll.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "no object"),
        ('{"unit": "g"}', "holds 'unit'"),
        ('{"time_unit": "min"}', "time_unit is 'min'"),
        ('{"time_unit": ["s"]}', "time_unit"),
        ('{"columns": 7}', "columns are 7"),
        ('{"columns": ["t", "x"]}', "seven different"),
        ('{"accelerometer_unit": "mg"}', "accelerometer_unit is 'mg'"),
        ('{"convention": {}}', "convention"),
        ('{"mount": [1, 2]}', "nine numbers"),
        ('{"mount": [1, 0, 0, 0, 1, 0, 0, 0, 2]}', "rotation"),
        ('{"mount": "up"}', "nine numbers"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(root: Path, text: str, message: str) -> None:
    (root / "sensors.json").write_text(text)
    with pytest.raises(RecordingError, match=message) as error:
        folders.read(root)
    assert "sensors.json" in str(error.value)


def test_bad_files_are_left_out_and_named_and_the_rest_is_read(root: Path) -> None:
    (root / "walking" / "stroll.csv").write_bytes(table().replace(b"1.0000", b"1.0x"))
    (root / "walking" / "empty.csv").write_bytes(b"")
    (root / "walking" / "bad.zip").write_bytes(b"PK")
    (root / "walking" / "notes.txt").write_bytes(b"")
    (root / "walking" / "nothing").mkdir()
    (root / "loose.csv").write_bytes(table())
    (root / ".hidden").write_bytes(b"")
    report = Report()
    assert [r.name for r in folders.read(root, report)] == ["sitting/sofa.csv", "walking/phone.zip"]
    assert report.read == 2
    expected = {
        "walking/stroll.csv": "line 2",
        "walking/empty.csv": "is empty",
        "walking/bad.zip": "as a zip",
        "walking/notes.txt": "no .csv",
        "walking/nothing": "no export",
        "loose.csv": "no label's folder",
    }
    assert report.skipped.keys() == expected.keys()
    for name, words in expected.items():
        assert words in report.skipped[name]
    assert "2 recordings read, 6 left out" in str(report)


def test_rows_that_are_left_out_of_a_recording_are_noted(root: Path) -> None:
    rows = ROWS.copy()
    rows[3, 2] = np.nan
    (root / "sitting" / "sofa.csv").write_bytes(table(rows=rows))
    report = Report()
    assert len(folders.read(root, report)[0].accelerometer.values) == 19
    assert "1 rows left out" in report.notes["sitting/sofa.csv"]
    assert "1 rows left out" in str(report)


def test_rows_out_of_order_stay_as_they_came_for_the_stream_to_judge(root: Path) -> None:
    (root / "sitting" / "sofa.csv").write_bytes(table(rows=ROWS[[0, 2, 1, 3]]))
    recording = folders.read(root)[0]
    assert recording.accelerometer.timestamps_ns.tolist() == [0, 20_000_000, 10_000_000, 30_000_000]


def test_a_folder_without_a_readable_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no folder at"):
        folders.read(tmp_path / "absent")
    with pytest.raises(RecordingError, match=r"0 left out.*expected <label>"):
        folders.read(tmp_path)
    (tmp_path / "walking").mkdir()
    (tmp_path / "walking" / "a.csv").write_bytes(b"x")
    with pytest.raises(RecordingError, match=r"1 left out; the first: walking/a\.csv: .*no column"):
        folders.read(tmp_path)


def test_values_beyond_all_measure_are_turned_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = turned(np.array([[np.inf, 1.0, 1e308], [0.0, 9.8, 0.0]]), np.full((3, 3), 10.0))
    assert not np.isfinite(found[0]).any()
    np.testing.assert_allclose(found[1], 98)
