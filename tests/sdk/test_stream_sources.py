"""`primus-stream` on what is no data set: files, exports, folders and live samples, through a saved head."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from primus_sdk import load
from primus_sdk.commands.stream import main
from primus_sdk.windowing.sensors import STANDARD_GRAVITY
from primus_sdk.windowing.windows import Window, WindowStream

START = 1_700_000_000_000_000_000
POSES = {"upright": (0.0, 9.8, 0.0), "lying": (0.0, 0.0, 9.8)}
SIDE = [0.0, -1, 0, 1, 0, 0, 0, 0, 1]  # the sensor's x axis is the training data's y axis


def samples(pose: str, seconds: float = 20, hertz: int = 50, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) and rows (n, 6) of someone who stays in a pose."""
    random = np.random.default_rng(seed)
    count = round(seconds * hertz)
    times = START + np.arange(count, dtype=np.int64) * (10**9 // hertz)
    acceleration = random.normal(0, 0.1, (count, 3)) + np.array(POSES[pose])
    return times, np.hstack([acceleration, random.normal(0, 0.05, (count, 3))])


def table(times: np.ndarray, rows: np.ndarray, header: str = "t,ax,ay,az,gx,gy,gz\n", scale: float = 1e-9) -> bytes:
    lines = [f"{t * scale:.9f}," + ",".join(f"{x:.9f}" for x in row) + "\n" for t, row in zip(times, rows, strict=True)]
    return (header + "".join(lines)).encode()


def json_lines(times: np.ndarray, rows: np.ndarray) -> list[dict[str, Any]]:
    return [{"sensor": "both", "t_ns": int(t), "values": row.tolist()} for t, row in zip(times, rows, strict=True)]


def sensor_csv(times: np.ndarray, values: np.ndarray) -> str:
    rows = zip(times, values, strict=True)
    return "time,seconds_elapsed,z,y,x\n" + "".join(f"{t},0,{z},{y},{x}\n" for t, (x, y, z) in rows)


def export(path: Path, pose: str = "lying") -> Path:
    """An iPhone's export with AirPods: the phone lies, the head is in the pose."""
    times, rows = samples(pose)
    still, phone = samples("lying")
    columns = [f"{kind}{axis}" for kind in ("rotationRate", "gravity", "acceleration") for axis in "XYZ"]
    gravity = np.broadcast_to(-np.array(POSES[pose]), (len(times), 3))
    acceleration = (-rows[:, :3] - gravity) / STANDARD_GRAVITY
    body = "".join(
        f"{t}," + ",".join(map(str, row)) + "\n"
        for t, row in zip(times, np.hstack([rows[:, 3:], gravity, acceleration]), strict=True)
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Headphone.csv", f"time,{','.join(columns)}\n{body}")
        archive.writestr("Accelerometer.csv", sensor_csv(still, -phone[:, :3] + np.array(POSES["lying"])))
        archive.writestr("Gravity.csv", sensor_csv(still, np.broadcast_to(-np.array(POSES["lying"]), (len(still), 3))))
        archive.writestr("Gyroscope.csv", sensor_csv(still, phone[:, 3:]))
        archive.writestr("Metadata.csv", "platform,standardisation\nios,false\n")
    return path


@pytest.fixture(scope="module")
def head(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head that tells the two poses apart."""
    windows: list[Window] = []
    labels: list[str] = []
    for seed in range(3):
        for pose in POSES:
            stream = WindowStream(5.0)
            found = stream.push(*samples(pose, seed=seed)) + stream.flush()
            windows, labels = windows + found, labels + [pose] * len(found)
    path = tmp_path_factory.mktemp("head") / "poses.safetensors"
    with load(folder) as recogniser:
        recogniser.calibrate(windows, labels).save(path)
    return path


def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def windows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_tells_all_of_a_window_that_a_machine_may_want(folder: Path, head: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(table(*samples("lying")))
    found = windows(invoke(tmp_path / "a.csv", "--bundle", folder, "--head", head, "--json"))
    assert len(found) == 16
    first = found[0]
    assert first.keys() == {
        "recording", "start_s", "start_ns", "end_ns", "label", "likeliest", "probability", "probabilities", "held",
        "quality",
    }  # fmt: skip
    assert first["quality"].keys() == {
        "coverage", "largest_gap_s", "accelerometer_hz", "gyroscope_hz", "jitter_ms", "saturated", "still",
        "after_reset",
    }  # fmt: skip
    assert first["start_ns"] == START
    assert first["end_ns"] - first["start_ns"] == 5 * 10**9
    assert [window["start_s"] for window in found] == [float(i) for i in range(16)]
    assert first["label"] == first["likeliest"] == "lying"
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert first["quality"]["accelerometer_hz"] == pytest.approx(50, abs=0.5)


@pytest.mark.parametrize("form", ["csv file", "live csv", "json lines", "json file"])
def test_the_same_samples_give_the_same_labels_in_any_form(folder: Path, head: Path, tmp_path: Path, form: str) -> None:
    times, rows = samples("upright")
    text = "\n".join(map(json.dumps, json_lines(times, rows))).encode()
    (tmp_path / "a.csv").write_bytes(table(times, rows))
    (tmp_path / "a.jsonl").write_bytes(text)
    common = ("--bundle", folder, "--head", head, "--json")
    result = {
        "csv file": lambda: invoke(tmp_path / "a.csv", *common),
        "live csv": lambda: invoke("-", *common, stdin=table(times, rows)),
        "json lines": lambda: invoke("-", "--input", "jsonl", *common, stdin=text),
        "json file": lambda: invoke(tmp_path / "a.jsonl", *common),
    }[form]()
    found = windows(result)
    assert [(window["start_ns"], window["label"]) for window in found] == [
        (START + i * 10**9, "upright") for i in range(16)
    ]
    assert result.stderr == ""


def test_units_sign_and_mount_are_declared(folder: Path, head: Path, tmp_path: Path) -> None:
    times, rows = samples("upright")
    scaled = rows * np.array([-1 / STANDARD_GRAVITY] * 3 + [180 / np.pi] * 3)
    turned = scaled[:, [1, 0, 2, 4, 3, 5]] * np.array([1, -1, 1, 1, -1, 1])
    options = ["--accelerometer-unit", "g", "--gyroscope-unit", "deg/s", "--convention", "ios"]
    options += ["--mount", ",".join(map(str, SIDE))]
    common = ("--bundle", folder, "--head", head, "--json")
    plain = windows(invoke("-", *common, stdin=table(times, rows)))
    (tmp_path / "a.csv").write_bytes(table(times, turned))
    text = "\n".join(map(json.dumps, json_lines(times, turned))).encode()
    for result in (
        invoke(tmp_path / "a.csv", *common, *options),
        invoke("-", *common, *options, stdin=table(times, turned)),
        invoke("-", *common, *options, "--input", "jsonl", stdin=text),
    ):
        for window, expected in zip(windows(result), plain, strict=True):
            assert window["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-3)


@pytest.mark.parametrize(
    ("mount", "words"), [("1,2", "nine numbers"), ("1 0 0 0 1 0 0 0 -1", "determinant"), ("a b c d e f g h i", "nine")]
)
def test_a_mount_that_is_none_is_one_clear_line(folder: Path, mount: str, words: str) -> None:
    result = invoke("-", "--bundle", folder, "--json", "--mount", mount, stdin=b"")
    assert result.exit_code == 1
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("unpacked", [False, True])
def test_an_export_of_sensor_logger_is_found_by_what_it_holds(
    folder: Path, head: Path, tmp_path: Path, unpacked: bool
) -> None:
    path = export(tmp_path / "airpods.zip", "upright")
    if unpacked:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "airpods")
        path = tmp_path / "airpods"
    common = (path, "--bundle", folder, "--head", head, "--json")
    result = invoke(*common)
    assert {window["label"] for window in windows(result)} == {"upright"}
    assert "taking the headphone's sensors" in result.stderr
    assert {window["label"] for window in windows(invoke(*common, "--device", "phone"))} == {"lying"}


def test_sensor_loggers_messages_stream_from_stdin(folder: Path, head: Path) -> None:
    times, rows = samples("lying")
    messages = []
    for start in range(0, len(times), 25):
        payload = []
        for t, row in zip(times[start : start + 25].tolist(), rows[start : start + 25].tolist(), strict=True):
            for name, values in (("totalacceleration", row[:3]), ("gyroscope", row[3:])):
                payload.append({"name": name, "time": t, "values": dict(zip("xyz", values, strict=True))})
        messages.append({"messageId": start, "sessionId": "s", "deviceId": "d", "payload": payload})
    text = "\n".join(map(json.dumps, messages)).encode()
    result = invoke("-", "--input", "jsonl", "--bundle", folder, "--head", head, "--json", stdin=text)
    found = windows(result)
    assert len(found) == 16
    assert {window["label"] for window in found} == {"lying"}
    assert result.stderr.splitlines() == ["taking the phone's sensors; --device takes the other's"]


def test_bad_json_lines_cost_themselves_and_are_counted_on_stderr(folder: Path, head: Path) -> None:
    lines = [json.dumps(line) for line in json_lines(*samples("lying"))]
    lines[100:100] = ["{", "nonsense", json.dumps({"sensor": "both", "t_ns": 1, "values": []})]
    text = "\n".join(lines).encode()
    result = invoke("-", "--input", "jsonl", "--bundle", folder, "--head", head, "--json", stdin=text)
    assert len(windows(result)) == 16
    said = result.stderr.splitlines()
    assert len(said) == 3
    assert "line 101 left out" in said[0]
    assert said[2] == "lines or samples left out: 2 no JSON, 1 of another shape"


def test_nothing_but_bad_lines_is_an_error(folder: Path) -> None:
    result = invoke("-", "--input", "jsonl", "--bundle", folder, "--json", stdin=b"{\n{\n")
    assert result.exit_code == 1
    assert "before the first window" in result.stderr
    assert "2 no JSON" in result.stderr


def test_dropped_samples_are_said_at_the_end(folder: Path, head: Path) -> None:
    times, rows = samples("lying")
    times, rows = np.insert(times, 200, times[199]), np.insert(rows, 200, rows[199], axis=0)
    rows[300, 1] = np.nan
    result = invoke("-", "--bundle", folder, "--head", head, "--json", stdin=table(times, rows))
    assert len(windows(result)) == 16
    assert "repeated" in result.stderr
    assert "1 invalid" in result.stderr


def test_windows_before_a_bad_row_are_not_lost(folder: Path, head: Path) -> None:
    content = table(*samples("lying", seconds=6)) + b"7,x,0,0,0,0,0\n"
    result = invoke("-", "--bundle", folder, "--head", head, "--json", stdin=content)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert "line 302" in result.stderr


def test_wrong_units_are_said_and_not_recognised(folder: Path, head: Path, tmp_path: Path) -> None:
    times, rows = samples("lying")
    (tmp_path / "g.csv").write_bytes(table(times, rows / 9.8))
    for result in (
        invoke(tmp_path / "g.csv", "--bundle", folder, "--head", head),
        invoke("-", "--bundle", folder, "--head", head, stdin=table(times, rows / 9.8)),
    ):
        assert result.exit_code == 1
        assert "looks like g" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_metres_declared_as_g_are_said_and_not_recognised(folder: Path, head: Path) -> None:
    content = table(*samples("lying"))
    result = invoke("-", "--bundle", folder, "--head", head, "--accelerometer-unit", "g", stdin=content)
    assert result.exit_code == 1
    assert "m/s^2 declared as g" in result.stderr


def test_a_window_of_wrong_values_is_counted_and_the_others_go_on(folder: Path, head: Path) -> None:
    times, rows = samples("lying", seconds=40)
    rows[500:900] /= 100
    result = invoke("-", "--bundle", folder, "--head", head, "--json", stdin=table(times, rows))
    found = windows(result)
    assert 20 < len(found) < 36
    assert f"windows refused: {36 - len(found)}; the first: " in result.stderr


def test_rejection_smoothing_and_the_rest_gate_are_passed_on(folder: Path, head: Path, tmp_path: Path) -> None:
    times, rows = samples("lying", seconds=30)
    rows[:] = (0, 0, 9.8, 0, 0, 0)  # as still as can be
    (tmp_path / "a.csv").write_bytes(table(times, rows))
    common = (tmp_path / "a.csv", "--bundle", folder, "--head", head)
    rejected = windows(invoke(*common, "--json", "--reject-below", "1"))
    assert {window["label"] for window in rejected} == {None}
    assert {window["likeliest"] for window in rejected} == {"lying"}
    assert "none of these" in invoke(*common, "--reject-below", "1").stdout
    held = windows(invoke(*common, "--json", "--rest-gate"))
    assert held[0]["held"] is False
    assert any(window["held"] for window in held)
    assert "at rest, held" in invoke(*common, "--rest-gate").stdout
    assert len(windows(invoke(*common, "--json", "--smoothing", "5"))) == len(held)


@pytest.mark.parametrize(("make", "words"), [("folder", "--dataset folder"), ("zip", "cannot be read as a zip")])
def test_what_is_no_export_is_one_clear_line(folder: Path, tmp_path: Path, make: str, words: str) -> None:
    path = tmp_path / "a.zip"
    path.mkdir() if make == "folder" else path.write_bytes(b"PK")
    result = invoke(path, "--bundle", folder, "--json")
    assert result.exit_code == 1
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_that_may_not_be_read_is_said_to_be_that(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, *_, **__: path != tmp_path)
    result = invoke(tmp_path, "--bundle", folder, "--json")
    assert result.exit_code == 1
    assert "permission denied" in result.stderr


def test_the_live_table_shows_the_last_windows(
    folder: Path, head: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(table(*samples("lying")))
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any output for a terminal
    monkeypatch.setenv("COLUMNS", "120")
    result = invoke(tmp_path / "a.csv", "--bundle", folder, "--head", head)
    assert result.exit_code == 0, result.output
    assert "or else" in result.stdout
    assert "16 windows: lying 100%" in result.stdout
