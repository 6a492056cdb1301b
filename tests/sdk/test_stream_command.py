"""`primus-stream` as a person runs it: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from primus_sdk.commands import _session, _trial
from primus_sdk.commands.stream import main
from primus_sdk.heads.head import Head
from primus_sdk.recordings import Recording, Samples, watch
from primus_sdk.recordings.windows import windows_of


def made_recordings() -> list[Recording]:
    """Six people, each upright for 20 s, and each lying for 20 s."""
    recordings = []
    for user, (label, gravity) in itertools.product(
        range(1, 7), [("upright", (0.0, 9.8, 0.0)), ("lying", (0.0, 0.0, 9.8))]
    ):
        random = np.random.default_rng(user)
        times = 10**9 * user + np.arange(2000, dtype=np.int64) * 10_000_000
        acceleration = random.normal(0, 0.1, (2000, 3)) + np.array(gravity)
        both = Samples(times, acceleration), Samples(times, random.normal(0, 0.05, (2000, 3)))
        recordings.append(Recording(f"made-{user}-{label}", str(user), label, *both))
    return recordings


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Recording]:
    recordings = made_recordings()
    monkeypatch.setattr(watch, "read", lambda path: recordings)
    return recordings


def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def fails(result: Result, *words: str) -> None:
    """The command said one line, with these words, and nothing else."""
    assert result.exit_code == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.output
    assert lines[0].startswith("Error: ")
    for word in words:
        assert word in lines[0]


def csv_of(recording: Recording, header: str = "t,ax,ay,az,gx,gy,gz", scale: float = 1e-9) -> bytes:
    times = recording.accelerometer.timestamps_ns
    rows = np.hstack([recording.accelerometer.values, recording.gyroscope.values])
    lines = [f"{t * scale:.6f}," + ",".join(f"{x:.6f}" for x in row) for t, row in zip(times, rows, strict=True)]
    return "\n".join([*([header] if header else []), *lines, ""]).encode()


@pytest.fixture
def head(folder: Path, made: list[Recording], tmp_path: Path) -> Path:
    path = tmp_path / "made.safetensors"
    assert invoke("--dataset", "watch", "--bundle", folder, "--save-head", path).exit_code == 0
    return path


def test_it_calibrates_on_some_people_and_streams_the_others(folder: Path, made: list[Recording]) -> None:
    result = invoke("--dataset", "watch", "--bundle", folder, "--json", "--shots", 3)
    assert result.exit_code == 0, result.output
    begin, *windows, summary = map(json.loads, result.stdout.splitlines())
    assert len(begin["streamed"]) == 2
    assert not set(begin["streamed"]) & set(begin["calibrated_on"])
    assert begin["shots"] == 6
    assert {window["user"] for window in windows} == set(begin["streamed"])
    assert {window["true"] for window in windows} == {"upright", "lying"}
    assert summary["windows"] == len(windows) == 4 * 16
    right = np.mean([window["true"] == window["label"] for window in windows])
    assert summary["accuracy"] == pytest.approx(right, abs=1e-4)
    assert summary["accuracy"] > 0.9 > 0.5 == summary["chance"]


def test_the_same_seed_gives_the_same_run_and_another_seed_other_people(folder: Path, made: list[Recording]) -> None:
    runs = [invoke("--dataset", "watch", "--bundle", folder, "--json", "--seed", s).stdout for s in (0, 0, 1)]
    assert runs[0] == runs[1]
    assert json.loads(runs[2].splitlines()[0])["streamed"] != json.loads(runs[0].splitlines()[0])["streamed"]


def test_the_table_ends_with_accuracy_beside_chance(folder: Path, made: list[Recording]) -> None:
    result = invoke("--dataset", "watch", "--bundle", folder)
    assert "window accuracy 100.0%, macro-F1 1.000 over 64 windows of 2 people it has not seen" in result.stdout
    assert "chance: 50.0%" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 101


def test_the_plot_is_a_picture_and_is_written_whole_or_not_at_all(
    folder: Path, made: list[Recording], tmp_path: Path
) -> None:
    plot = tmp_path / "out.png"
    assert invoke("--dataset", "watch", "--bundle", folder, "--plot", plot).exit_code == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    fails(invoke("--dataset", "watch", "--bundle", folder, "--json", "--plot", tmp_path / "no" / "out.png"), "out.png")


def test_people_that_the_encoder_held_out_are_the_ones_streamed() -> None:
    known, unseen = _trial.split(made_recordings(), 0, {"users_held_out": ["2", "5", "77"]})
    assert (known, unseen) == (["1", "3", "4", "6"], ["2", "5"])


def test_shots_are_spread_over_people_and_never_overlap() -> None:
    recordings = made_recordings()
    windows, labels = _trial.shots(recordings, 9, seed=3)
    assert sorted(labels) == ["lying"] * 9 + ["upright"] * 9
    assert len({window.imu.tobytes() for window in windows}) == 18
    one_each, _ = _trial.shots(recordings, 6, seed=3)
    by_user = [{w.imu.tobytes() for w in windows_of(r, 5.0)} for r in recordings if r.label == "lying"]
    assert [sum(w.imu.tobytes() in theirs for w in one_each[:6]) for theirs in by_user] == [1] * 6


def test_any_number_of_shots_takes_what_there_is() -> None:
    _, labels = _trial.shots(made_recordings(), 10**15, seed=3)
    assert sorted(labels) == ["lying"] * 24 + ["upright"] * 24


def test_paced_streaming_takes_the_recordings_own_time(
    monkeypatch: pytest.MonkeyPatch, folder: Path, made: list[Recording]
) -> None:
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(_session.time, "sleep", sleep)
    monkeypatch.setattr(_session.time, "monotonic", lambda: now[0])
    result = invoke("--dataset", "watch", "--bundle", folder, "--json", "--speed", "1x")
    fast = invoke("--dataset", "watch", "--bundle", folder, "--json")
    assert result.stdout == fast.stdout
    assert sum(slept) == pytest.approx(4 * 20, abs=1)


def test_a_csv_is_streamed_through_a_saved_head(
    folder: Path, head: Path, made: list[Recording], tmp_path: Path
) -> None:
    for recording in made[:2]:
        file = tmp_path / "walk.csv"
        file.write_bytes(csv_of(recording))
        result = invoke(file, "--bundle", folder, "--head", head, "--json")
        assert result.exit_code == 0, result.output
        windows = [json.loads(line) for line in result.stdout.splitlines()]
        assert len(windows) == 16
        assert {window["label"] for window in windows} == {recording.label}
        assert windows[0]["start_ns"] == recording.accelerometer.timestamps_ns[0]


def test_stdin_units_and_column_numbers(folder: Path, head: Path, made: list[Recording]) -> None:
    recording = made[1]
    scaled = Recording(
        "scaled", "1", "x",
        Samples(recording.accelerometer.timestamps_ns, recording.accelerometer.values / 9.80665),
        Samples(recording.gyroscope.timestamps_ns, np.rad2deg(recording.gyroscope.values)),
    )  # fmt: skip
    plain = invoke("-", "--bundle", folder, "--head", head, "--json", stdin=csv_of(recording))
    options = [
        "--columns",
        "1,2,3,4,5,6,7",
        "--time-unit",
        "ms",
        "--accelerometer-unit",
        "g",
        "--gyroscope-unit",
        "deg/s",
    ]
    other = invoke("-", "--bundle", folder, "--head", head, "--json", *options, stdin=csv_of(scaled, "", 1e-6))
    assert plain.exit_code == other.exit_code == 0, other.output
    labels = [[json.loads(line)["label"] for line in run.stdout.splitlines()] for run in (plain, other)]
    assert labels[0] == labels[1] == ["lying"] * 16


def test_nanoseconds_since_1970_are_read_to_the_last_digit(folder: Path) -> None:
    start = 1_700_000_000_000_000_000
    rows = "".join(f"{start + i * 20_000_000},0,9.8,0,0,0,0\n" for i in range(300))
    result = invoke(
        "-", "--bundle", folder, "--columns", "1,2,3,4,5,6,7", "--time-unit", "ns", "--json", stdin=rows.encode()
    )
    first = json.loads(result.stdout.splitlines()[0])
    assert first["start_ns"] == start
    assert len(first["embedding"]) == 512


def test_without_a_head_it_says_how_to_get_one(folder: Path) -> None:
    fails(invoke("-", "--bundle", folder, stdin=b""), "--head", "--json")


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (b"", [], ["stdin is empty"]),
        (b"a,b,c\n1,2,3\n", [], ["no column 't'", "a,b,c"]),
        (b"1,2,3\n1,2,3\n", ["--columns", "1,2,3,4,5,6,7"], ["3 columns"]),
        (b"t,ax,ay,az,gx,gy,gz\n0,0,0,9.8,0,0,zero\n", [], ["line 2", "zero"]),
        (b"t,ax,ay,az,gx,gy,gz\n0,0,0\n", [], ["line 2", "all 7 columns"]),
        (b"t,ax,ay,az,gx,gy,gz\n0,0,0,nan,0,0,0\n", [], ["before the first window", "1 invalid"]),
        (b"t,ax,ay,az,gx,gy,gz\n1e300,0,0,9.8,0,0,0\n", [], ["line 2", "1e300"]),
        (b"t,ax,ay,az,gx,gy,gz\n0,0,0,9.8,0,0,0\n", [], ["before the first window"]),
        (b"\0\1\2\3", [], ["no CSV"]),
        (b"x" * 70_000, [], ["no CSV"]),
        (b"", ["--columns", "t,x"], ["seven different"]),
        (b"", ["--columns", "0,1,2,3,4,5,6"], ["numbers start at 1"]),
        (b"t;ax;ay;az;gx;gy;gz\n", [], ["semicolons", "commas"]),
        (b"t\tax\tay\taz\tgx\tgy\tgz\n", [], ["tabs", "commas"]),
        (b"0,0;0,1;9,8;0;0;0;0\n", [], ["semicolons", "points"]),
        (b"0;0;9.8;0;0;0;0\n", ["--columns", "1,2,3,4,5,6,7"], ["1 columns", "semicolons"]),
        (b"0,0,9.8,0,0,0,0\n", [], ["--columns 1,2,3,4,5,6,7"]),
        (b'{"sensor": "both", "t_ns": 0}\n', [], ["--input jsonl"]),
        (b'"\x07abc\n', [], ["line 1 is no row of a CSV", "in UTF-8?"]),
        ("t,ax".encode("utf-16"), [], ["UTF-16"]),
        (b"\xff\xfe\x80abc\n1,2\n", [], ["no text in UTF-8"]),
        (b"", ["--columns", "t,t,t,t,t,t,t"], ["seven different"]),
        (b"", ["--hop", "0.03"], ["multiple of 0.02"]),
        (b"", ["--head", "absent.safetensors"], ["absent.safetensors"]),
    ],
)
def test_bad_input_is_one_clear_line(folder: Path, content: bytes, options: list[str], words: list[str]) -> None:
    fails(invoke("-", "--bundle", folder, "--json", *options, stdin=content), *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.csv", "--json"], ["absent.csv"]),
        (["--dataset", "classyglass", "absent"], ["absent"]),
        (["--dataset", "watch", "absent.npy"], ["absent.npy", "seglearn"]),
        (["--dataset", "watch", "--hop", "0"], ["0.02"]),
    ],
)
def test_absent_sources_and_wrong_hops_are_one_clear_line(folder: Path, arguments: list[str], words: list[str]) -> None:
    fails(invoke(*arguments, "--bundle", folder), *words)


def test_an_absent_bundle_is_one_clear_line(tmp_path: Path) -> None:
    fails(invoke("-", "--bundle", tmp_path / "absent"), "absent")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["x.csv", "--shots", "3"],
        ["x.csv", "--reject-below", "nan"],
        ["--dataset", "watch", "--head", "h"],
        ["--dataset", "classyglass"],
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(folder: Path, arguments: list[str]) -> None:
    result = invoke(*arguments, "--bundle", folder)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_help_has_examples() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    assert "primus-stream --dataset watch" in result.stdout


def python(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, **options)


@pytest.mark.parametrize("module", ["click", "rich"])
def test_a_missing_library_is_one_line_that_names_the_extra(folder: Path, module: str) -> None:
    done = python(
        f"import sys; sys.modules[{module!r}] = sys.modules['{module}.console'] = None\n"
        f"sys.argv = ['primus-stream', '--dataset', 'watch', '--bundle', {str(folder)!r}]\n"
        "from primus_sdk.commands.stream import main; main()"
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert module in done.stderr
    assert "primus-imu[cli]" in done.stderr


def test_a_reader_that_goes_away_ends_it_quietly(folder: Path) -> None:
    rows = "t,ax,ay,az,gx,gy,gz\n" + "".join(f"{i / 50},0,9.8,0,0,0,0\n" for i in range(2000))
    code = (
        f"import sys; sys.argv = ['primus-stream', '-', '--bundle', {str(folder)!r}, '--json']\n"
        "from primus_sdk.commands.stream import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(rows)
    assert "Traceback" not in errors
    assert process.returncode == 1


def test_a_saved_head_belongs_to_the_bundles_encoder(head: Path) -> None:
    assert Head.load(head).labels == ("lying", "upright")
