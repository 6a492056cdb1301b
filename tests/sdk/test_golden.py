"""The golden vectors: the SDK gives them however samples are cut; a plain reading of the contract agrees."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import golden
import golden_rules
import numpy as np
import offline
import pytest
from golden import Expected, Line, pairs, read_expected, read_samples
from streams import assert_same

from primus_sdk.heads.head import Head
from primus_sdk.recogniser import load
from primus_sdk.windowing.quality import Dropped, Quality

CASES = [folder.name for folder in golden.folders()]
WHOLE = 1 << 30


@pytest.fixture(scope="module")
def recogniser():
    with load(runtime="onnxruntime") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def head() -> Head:
    return Head.load(golden.FOLDER / golden.HEAD)


def case(name: str) -> tuple[Path, list[Line], Expected]:
    folder = golden.FOLDER / "streams" / name
    return folder, read_samples(folder), read_expected(folder)


@pytest.mark.parametrize("name", CASES)
def test_the_sdk_gives_what_is_written(name: str, recogniser, head) -> None:
    folder, _, expected = case(name)
    assert golden.difference(golden.compute(recogniser, head, folder), expected, head) == ""


@pytest.mark.parametrize("name", CASES)
def test_pushes_of_any_size_give_the_same_bits(name: str) -> None:
    folder, lines, _ = case(name)
    options = pairs(folder / "options.txt")
    whole, dropped = golden.run(options, lines, itertools.repeat(WHOLE))
    random = np.random.default_rng(len(lines))
    for sizes in (itertools.repeat(1), iter(lambda: int(random.integers(1, 300)), 0)):
        windows, left_out = golden.run(options, lines, sizes)
        assert_same(windows, whole)
        assert left_out == dropped


@pytest.mark.parametrize("name", CASES)
def test_the_offline_path_gives_the_same_windows(name: str) -> None:
    folder, lines, expected = case(name)
    given = pairs(folder / "options.txt")
    options = offline.Options(
        given["hop_s"],
        (given["accelerometer_unit"], given["gyroscope_unit"]),
        given["convention"],
        None if given["mount"] is None else np.array(given["mount"]).reshape(3, 3),
        (given["accelerometer_range"], given["gyroscope_range"]),
        given["fill_s"],
        given["reset_s"],
        given["reorder_s"],
    )
    result = offline.windows([(arrays(part, "a"), arrays(part, "g")) for part in flushed(lines)], options)
    assert vars(result.dropped) == expected.dropped._asdict()
    assert [window[:2] for window in result.windows] == [(w.start_ns, w.end_ns) for w in expected.windows]
    for (_, _, imu, quality), window in zip(result.windows, expected.windows, strict=True):
        assert quality == pytest.approx({name: getattr(window.quality, name) for name in golden.FIELDS}, abs=1e-9)
        np.testing.assert_allclose(window.imu, imu, rtol=0, atol=1e-5)


def flushed(lines: list[Line]) -> list[list[Line]]:
    """What came up to each flush."""
    parts: list[list[Line]] = [[]]
    for line in lines:
        if line is None:
            parts.append([])
        else:
            parts[-1].append(line)
    return parts[:-1]


def arrays(lines: list[Line], sensor: str) -> tuple:
    mine = [line for line in lines if line is not None and line[0] == sensor]
    values = np.array([line[2] for line in mine])
    return [line[1] for line in mine], *np.split(values, values.shape[1] // 3, axis=1)


def any_of(field: str) -> Callable[[Expected], bool]:
    return lambda expected: any(getattr(window.quality, field) for window in expected.windows)


def rate(hz: float) -> Callable[[Expected], bool]:
    return lambda expected: all(
        abs(rate - hz) < 1 for w in expected.windows for rate in (w.quality.accelerometer_hz, w.quality.gyroscope_hz)
    )


def hop(seconds: float) -> Callable[[Expected], bool]:
    return lambda expected: (
        {b.start_ns - a.start_ns for a, b in itertools.pairwise(expected.windows)} == {round(seconds * 1e9)}
    )


def nothing_dropped(expected: Expected) -> bool:
    return not any(expected.dropped)


def worst(expected: Expected) -> Quality:
    """Of the window with the least coverage, or the largest gap."""
    return max((w.quality for w in expected.windows), key=lambda q: (-q.coverage, q.largest_gap_s))


SHOWS: dict[str, Callable[[Expected], bool]] = {
    **{f"clean_{hz}_hz": rate(hz) for hz in (20, 25, 33, 50, 69, 100, 200, 1000)},
    "jittered_100_hz": lambda e: all(2 < w.quality.jitter_ms < 5 for w in e.windows),
    "two_rates_and_offsets": lambda e: e.windows[0].quality.accelerometer_hz > e.windows[0].quality.gyroscope_hz + 30,
    "gap_80_ms_both": lambda e: worst(e).coverage == 1 and worst(e).largest_gap_s == 0.09,
    "gap_80_ms_gyroscope": lambda e: worst(e).coverage == 1 and worst(e).largest_gap_s == 0.09,
    "gap_400_ms_both": lambda e: worst(e).coverage < 1 and e.windows[0].quality.coverage == 1,
    "gap_400_ms_gyroscope": lambda e: worst(e).gyroscope_hz < 95 < worst(e).accelerometer_hz,
    "gap_1500_ms_both": any_of("after_reset"),
    "gap_1500_ms_gyroscope": lambda e: any_of("after_reset")(e) and e.dropped.unpaired > 50,
    "reordered_within": nothing_dropped,
    "reordered_beyond": lambda e: e.dropped.late > 10,
    "reordered_long_window": nothing_dropped,
    "reorder_none": lambda e: e.dropped.late > 10,
    "slow_and_late": lambda e: e.dropped.late > 10,
    "repeated": lambda e: e.dropped.repeated > 100 and e.windows[0].quality.largest_gap_s == 0.01,
    "invalid": lambda e: e.dropped.invalid == 10,
    "hop_half_second": hop(0.5),
    "hop_20_ms": hop(0.02),
    "hop_7_seconds": hop(7),
    "fill_500_ms": lambda e: worst(e).coverage == 1 and worst(e).largest_gap_s > 0.4,
    "reset_300_ms": any_of("after_reset"),
    "clock_set_back": lambda e: any(b.start_ns < a.start_ns for a, b in itertools.pairwise(e.windows)),
    "clock_set_back_gyroscope_later": lambda e: any_of("after_reset")(e) and e.dropped.unpaired > 0,
    "clock_jumped_forward": lambda e: any(b.start_ns - a.start_ns > 3e12 for a, b in itertools.pairwise(e.windows)),
    "one_timestamp_ahead": lambda e: any_of("after_reset")(e) and e.dropped.late == 0,
    "one_timestamp_half_a_second_ahead": lambda e: e.dropped.late > 40 and worst(e).coverage < 1,
    "flush_between": any_of("after_reset"),
    "gyroscope_silent": lambda e: len(e.windows) == 1,
    "still": lambda e: all(w.quality.still for w in e.windows),
    "nodding_since_1970": lambda e: e.windows[0].start_ns > 10**18,
    "saturated_declared": any_of("saturated"),
    "saturated_undeclared": any_of("saturated"),
    "saturated_undeclared_in_g": any_of("saturated"),
}
LIMITS: dict[str, Callable[[Expected], bool]] = {
    # Twice 18.8, and 20 after one that was invalid; neither twice 18, nor 20 of another axis or sign.
    "limits_saturated": lambda e: [round(w.quality.saturated * 249) for w in e.windows] == [2, 1],
    "limits_saturated_declared": lambda e: round(e.windows[0].quality.saturated * 249) == 2,
    "limits_invalid": lambda e: e.dropped == Dropped(invalid=4, short=15),  # nothing was late, and no clock set back
    "limits_order": lambda e: e.dropped == Dropped(repeated=1, late=5, short=70),
    "limits_late_before_repeated": lambda e: e.dropped == Dropped(late=1, unpaired=2, short=10),
    "limits_period_rounded_down": lambda e: len(e.windows) == 1,
    "limits_period_of_slow_steps": lambda e: worst(e).coverage == 1 and worst(e).largest_gap_s == 0.1,
    "limits_12_5_hz": lambda e: worst(e).coverage == 1,
    "limits_8_hz": lambda e: worst(e).coverage < 0.01,
    "limits_burst_of_5_khz": lambda e: e.windows[0].quality.accelerometer_hz > 105,
    "limits_rate_changes": lambda e: worst(e).largest_gap_s == 0.07,
    "limits_gap_at_55_hz": lambda e: worst(e).largest_gap_s == 0.034,
    "limits_gap_at_200_hz": lambda e: worst(e).largest_gap_s == 0.034,
    "limits_gap_of_100_ms": lambda e: worst(e).coverage == 1 and worst(e).largest_gap_s == 0.1,
    "limits_silence_of_1_s": lambda e: len(e.windows) == 1 and worst(e).largest_gap_s == 1,
    "limits_gap_over_the_end": lambda e: e.windows[0].quality.largest_gap_s == 0.41,
    "limits_short_segments": lambda e: e.dropped == Dropped(short=5 + 2 * (5 + 1 + 1)),
    "limits_exactly_250_points": lambda e: len(e.windows) == 1 and nothing_dropped(e),
    "limits_before_1970": lambda e: e.windows[0].start_ns == -2_500_000_000,
    "limits_set_back_twice": lambda e: e.dropped == Dropped(unpaired=730, short=50),
    "limits_set_back_twice_with_one_sample_between": lambda e: e.dropped == Dropped(unpaired=601, short=151),
    "limits_set_back_after_adoption": lambda e: e.dropped == Dropped(unpaired=400, short=200),
    "limits_waiting_ends_with_equal_epochs": lambda e: e.dropped == Dropped(unpaired=410, short=70),
    "limits_flush_while_waiting_1": lambda e: e.dropped == Dropped(unpaired=360, short=100),
    "limits_flush_while_waiting_2": lambda e: e.dropped == Dropped(unpaired=361, short=151),
    "limits_rest_still": lambda e: e.windows[0].quality.still,
    **{
        f"limits_rest_{name}": lambda e: not e.windows[0].quality.still
        for name in ("accelerometer", "gyroscope", "accelerometer_alone", "gyroscope_alone", "three_axes_together")
    },
}
SAME_MOTION = ["accelerometer_in_g", "gyroscope_in_deg", "ios", "mount", "mount_tilt_ios", "gravity_apart"]


@pytest.mark.parametrize("name", sorted(SHOWS))
def test_a_case_shows_what_its_name_says(name: str) -> None:
    _, _, expected = case(name)
    assert expected.windows
    assert SHOWS[name](expected)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_a_limit_is_where_its_name_says(name: str) -> None:
    assert LIMITS[name](case(name)[2])


@pytest.mark.parametrize("name", SAME_MOTION)
def test_units_signs_and_mounts_are_the_same_motion_told_otherwise(name: str) -> None:
    plain, other = case("clean_100_hz")[2], case(name)[2]
    for one, same in zip(plain.windows, other.windows, strict=True):
        np.testing.assert_allclose(same.imu, one.imu, atol=0.02)  # three decimals of a g, and of gravity apart
    assert read_samples(golden.FOLDER / "streams" / name) != case("clean_100_hz")[1]


def test_every_case_says_what_it_shows() -> None:
    assert sorted([*SHOWS, *LIMITS, *SAME_MOTION]) == CASES


def test_late_samples_inside_the_window_leave_no_trace() -> None:
    assert_same(case("reordered_within")[2].windows, case("clean_100_hz")[2].windows)


def test_fits_rules_mounts_poses_and_errors_are_as_written(recogniser) -> None:
    assert golden_rules.check(golden.FOLDER, recogniser) == []


def test_sequences_show_what_their_names_say() -> None:
    rows = {name: golden.table(golden.FOLDER / "sequences" / f"{name}.csv") for name in golden_rules.SEQUENCES}
    column = {name: lambda key, name=name: [row[key] for row in rows[name]] for name in rows}
    assert [name for name in rows if "1" in column[name]("held")] == ["gated", "gated_and_smoothed"]
    assert [name for name in rows if "none" in column[name]("label")] == ["rejecting", "smoothed", "gated_and_smoothed"]
    assert [name for name in rows if column[name]("likeliest") == column["plain"]("likeliest")] == [
        "plain",
        "rejecting",
    ]
    exactly, equal = rows["rejecting"][1], rows["plain"][2]
    assert (exactly["probability"], exactly["label"]) == ("0.5", "walk")
    assert (equal["nod"], equal["still"], equal["likeliest"]) == ("0.4", "0.4", "nod")


def test_the_folder_is_small_and_text_without_carriage_returns() -> None:
    files = [path for path in golden.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    assert not any(b"\r" in path.read_bytes() for path in files if path.suffix in (".csv", ".txt"))


def test_the_command_agrees_and_says_so() -> None:
    command = [sys.executable, str(Path(golden.__file__)), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, f"{len(CASES)} streams" in done.stderr) == (0, True)
