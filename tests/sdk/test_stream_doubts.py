"""What `primus-stream` doubts of a source: too few samples, times that are no times of a sensor, units, disorder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from primus_sdk.commands import _session, _trial
from primus_sdk.commands._heard import Heard, Measured
from primus_sdk.commands.stream import main
from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording, Samples
from primus_sdk.windowing.quality import Quality

HEADER = "t,ax,ay,az,gx,gy,gz\n"


def rows(
    seconds: float = 12, rate: int = 50, seed: int = 0, unit: float = 1.0, turning: float = 0.2, whole: bool = False
) -> list[str]:
    random, lines = np.random.default_rng(seed), []
    for n in range(round(seconds * rate)):
        x = random.normal(0, 0.2)
        time = f"{n // rate}" if whole else f"{n / rate:.3f}"
        lines.append(f"{time},{x / unit:.4f},{9.8 / unit:.4f},0,{random.normal(0, turning):.3f},0,{turning}\n")
    return lines


def quality(hertz: float) -> Quality:
    return Quality(1.0, 0.0, hertz, 100.0, 0.0, 0.0, False, False)


def invoke(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("live", [False, True])
def test_labels_of_too_few_samples_end_in_one_warning(
    folder: Path, head: Path, tmp_path: Path, form: list[str], live: bool
) -> None:
    content = HEADER + "".join(rows(rate=10))
    (tmp_path / "a.csv").write_text(content)
    result = invoke("-" if live else tmp_path / "a.csv", "--bundle", folder, "--head", head, *form, stdin=content)
    assert result.exit_code == 0, result.output
    (warning,) = [line for line in result.stderr.splitlines() if "warning" in line]
    assert warning.startswith("warning: 7 of 7 windows were measured below the 20 Hz that recognition needs")
    assert "means little" in warning
    assert "coarse" not in warning
    assert "warning" not in result.stdout
    if form:
        assert len([json.loads(line) for line in result.stdout.splitlines()]) == 7


@pytest.mark.parametrize("live", [False, True])
def test_times_in_whole_seconds_are_called_coarse(folder: Path, head: Path, tmp_path: Path, live: bool) -> None:
    content = HEADER + "".join(rows(whole=True))
    (tmp_path / "a.csv").write_text(content)
    result = invoke("-" if live else tmp_path / "a.csv", "--bundle", folder, "--head", head, stdin=content)
    assert result.exit_code == 0, result.output
    assert "samples share another's time: are the times rounded too coarsely?" in result.stderr


def test_a_trial_and_a_folder_warn_too(folder: Path, head: Path, tmp_path: Path) -> None:
    index = ["file,label,user\n"]
    for n in range(4):
        (tmp_path / f"{n}.csv").write_text(HEADER + "".join(rows(8, 15 if n % 2 else 50, seed=n)))
        index.append(f"{n}.csv,{'ab'[n // 2]},user {n % 2}\n")
    (tmp_path / "recordings.csv").write_text("".join(index))
    streamed = invoke("--dataset", "folder", tmp_path, "--bundle", folder, "--head", head)
    assert "warning: 6 of 14 windows were measured below the 20 Hz" in streamed.stderr
    told = [invoke("--dataset", "folder", tmp_path, "--bundle", folder, "--seed", seed).stderr for seed in range(6)]
    slow = [text for text in told if "warning" in text]  # where the seed drew the slow one of the two people
    assert 0 < len(slow) < len(told)
    assert all("warning: 6 of 6 windows" in text for text in slow)


def test_windows_that_are_all_measured_too_badly_to_calibrate_on_are_not_called_too_short() -> None:
    times = np.arange(20, dtype=np.int64) * 500_000_000
    slow = Samples(times, np.tile([0.0, 9.8, 0.0], (20, 1)))
    recordings = [Recording(label, "ann", label, slow, slow) for label in "ab"]
    with pytest.raises(RecordingError, match=r"none of \d+ windows was measured for 90% .* fewer than 20 a second"):
        _trial.shots(recordings, 3, seed=0)
    with pytest.raises(RecordingError, match="long enough"):
        _trial.shots([], 3, seed=0)


@pytest.mark.parametrize("rate", [20, 25, 50, 100])
def test_sensors_that_are_fast_enough_are_not_warned_of(folder: Path, head: Path, tmp_path: Path, rate: int) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "".join(rows(rate=rate)))
    result = invoke(tmp_path / "a.csv", "--bundle", folder, "--head", head)
    assert (result.exit_code, result.stderr) == (0, "")


def test_windows_are_counted_by_the_slower_sensor() -> None:
    measured = Measured()
    for hertz in (50.0, 19.8, 19.5, 3.25):
        measured.add(quality(hertz))
    assert measured.warning(0, 100).startswith("warning: 2 of 4 windows")
    assert "the slowest at 3.25 Hz" in measured.warning(0, 100)
    assert "coarse" not in measured.warning(50, 100)
    assert "coarse" in measured.warning(51, 100)
    assert Measured().warning(1000, 1000) == ""


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_rows_out_of_order_are_called_that(folder: Path, head: Path, tmp_path: Path, order: str, live: bool) -> None:
    lines = rows(25)
    lines = lines[::-1] if order == "reversed" else [lines[n] for n in np.random.default_rng(0).permutation(len(lines))]
    content = HEADER + "".join(lines)
    (tmp_path / "a.csv").write_text(content)
    result = invoke("-" if live else tmp_path / "a.csv", "--bundle", folder, "--head", head, stdin=content)
    assert result.exit_code == 1
    assert "1250 rows came, out of time order" in result.stderr
    assert "sort them by time" in result.stderr
    assert "--time-unit" not in result.stderr
    assert "over -" not in result.stderr


@pytest.mark.parametrize("rate", [50, 100, 400])
def test_a_short_recording_is_called_short_and_nothing_else(
    folder: Path, head: Path, tmp_path: Path, rate: int
) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "".join(rows(3, rate)))
    result = invoke(tmp_path / "a.csv", "--bundle", folder, "--head", head)
    assert result.exit_code == 1
    assert "5 s of samples at 20 Hz or more are needed" in result.stderr
    assert "--time-unit" not in result.stderr


def test_recordings_one_after_the_other_are_no_disorder() -> None:
    heard, values = Heard(), np.zeros((300, 3))
    times = np.arange(300, dtype=np.int64) * 10_000_000
    for _ in range(5):
        heard.recording(Recording("a", "", "", Samples(times, values), Samples(times, values)))
    assert str(heard) == "1500 rows came, over 14.95 s, usually 0.01 s apart"
    assert not heard.doubtful


@pytest.mark.parametrize("form", ["csv", "live csv", "json lines"])
@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"unit": 9.8}, "is --accelerometer-unit right?"),
        ({"unit": 0.1}, "is --accelerometer-unit right?"),
        ({"turning": 60.0}, "is --gyroscope-unit right?"),
    ],
)
def test_a_wrong_unit_names_its_option(
    folder: Path, head: Path, tmp_path: Path, form: str, options: dict[str, float], option: str
) -> None:
    lines = rows(8, **options)  # type: ignore[arg-type]
    content = HEADER + "".join(lines)
    if form == "json lines":
        split = [line.split(",") for line in lines]
        content = "".join(
            json.dumps({"sensor": "both", "t_ns": round(float(t) * 1e9), "values": [float(x) for x in values]}) + "\n"
            for t, *values in split
        )
    (tmp_path / "a.csv").write_text(content)
    source = [tmp_path / "a.csv"] if form == "csv" else ["-"] + (["--input", "jsonl"] if form == "json lines" else [])
    result = invoke(*source, "--bundle", folder, "--head", head, stdin=content)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert option in result.stderr


def test_units_that_no_option_declares_name_none(folder: Path, head: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "upright").mkdir(parents=True)
    (tmp_path / "data" / "upright" / "a.csv").write_text(HEADER + "".join(rows(8, unit=9.8)))
    result = invoke("--dataset", "folder", tmp_path / "data", "--bundle", folder, "--head", head)
    assert result.exit_code == 1
    assert "looks like g" in result.stderr
    assert "-unit" not in result.stderr


@pytest.mark.parametrize("place", [0, 200])
def test_a_wrong_timestamp_moves_neither_the_beginning_nor_the_pace(place: int) -> None:
    times = 5 * 10**9 + np.arange(1000) * 10_000_000
    times[place] += 10**15
    values = np.tile([0.0, 9.8, 0.0], (1000, 1))
    recording = Recording("r", "u", "walking", Samples(times, values), Samples(times, values))
    assert _session.take_of(recording, paced=True).began_ns == 5 * 10**9
    until = [upto for upto, _, _ in _session._pieces(recording, 5 * 10**9)]
    assert until[-1] == pytest.approx(10, abs=0.3)
    assert len(until) == pytest.approx(50, abs=2)
