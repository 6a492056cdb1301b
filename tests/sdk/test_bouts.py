"""Which windows lie within begin ... end, whatever the stream's clock does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recognitions import ENCODER, SECOND, Clock, window

from primus_sdk.calibration import calibrator
from primus_sdk.calibration.calibrator import Calibrator, Outcome


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collected(clock: Clock) -> Calibrator:
    return Calibrator(ENCODER, clock)


def test_windows_wholly_within_a_bout_are_examples(collected: Calibrator, clock: Clock) -> None:
    clock.at(10)
    assert collected.add(window(4)) == "outside"
    collected.begin("walking")
    assert collected.going_on == "walking"
    assert [collected.add(window(start)) for start in (8, 9.98, 10, 11)] == ["outside", "outside", "taken", "taken"]
    clock.at(17)
    collected.end()
    assert collected.going_on is None
    # The last window comes up to 100 ms after its last sample, and its last point is 20 ms before its end.
    assert [collected.add(window(start)) for start in (12, 12.02, 12.04, 13)] == ["taken", "near", "outside", "outside"]
    assert collected.counts == {"walking": 3}
    assert collected.left_out == {"outside": 5, "near": 1}
    assert collected.examples.times_ns.tolist() == [[s * SECOND, (s + 5) * SECOND] for s in (10, 11, 12)]


def test_a_bout_that_begins_before_the_first_sample_takes_the_first_window(collected: Calibrator, clock: Clock) -> None:
    clock.newest_ns = None
    collected.begin("walking")
    assert collected.add(window(3)) == "taken"


@pytest.mark.parametrize("ended", [True, False])
def test_after_a_step_back_of_the_clock_only_a_bout_that_goes_on_takes_windows(ended: bool) -> None:
    clock = Clock()
    collected = Calibrator(ENCODER, clock)
    clock.at(1000)
    collected.begin("walking")
    assert collected.add(window(1000)) == "taken"
    clock.at(1010)
    if ended:
        collected.end()
    assert collected.add(window(1001)) == "taken"
    expected = "outside" if ended else "taken"
    assert collected.add(window(2, after_reset=True)) == expected
    assert collected.add(window(3)) == expected
    assert collected.add(window(1003)) == expected, "that hour of the old clock is over"


def test_a_bout_begun_after_the_clock_stepped_back_does_not_reach_before_it(clock: Clock) -> None:
    collected = Calibrator(ENCODER, clock)
    clock.at(1005)
    collected.add(window(1000))
    clock.at(3)  # the stream has started anew, its first window is still to come
    collected.begin("walking")
    outcomes = [collected.add(window(start, after_reset=start == 1)) for start in (1, 2, 3, 4)]
    assert outcomes == ["outside", "outside", "taken", "taken"]


def test_a_flushed_stream_ends_a_bout_with_its_last_window(collected: Calibrator, clock: Clock) -> None:
    collected.begin("walking")
    clock.newest_ns = None
    collected.end()
    assert [collected.add(window(s)) for s in (1, 2)] == ["taken", "taken"]
    assert collected.add(window(20, after_reset=True)) == "outside"


def test_bouts_without_windows_take_no_memory(collected: Calibrator, clock: Clock) -> None:
    for second in range(0, 2000, 10):
        clock.at(second)
        collected.begin("walking")
        clock.at(second + 6)
        collected.end()
    assert len(collected._bouts._ended) <= 64
    assert collected.add(window(1991)) == "taken"


def plain_model(steps: list[tuple[str, float]]) -> list[Outcome]:
    """What the docstring says, written down plainly for a steady clock: intervals first, windows afterwards."""
    now, opened, intervals, outcomes, taken = 0.0, None, [], [], {}
    for step, seconds in steps:
        if step == "button":
            if opened is None:
                opened = len(intervals)
                intervals.append([now, np.inf])
            else:
                intervals[opened][1] = now
                opened = None
            continue
        now += seconds
        start = now - 5
        inside = [i for i, (begin, end) in enumerate(intervals) if begin <= start + 1e-6 and now - 0.02 <= end + 1e-6]
        if not inside:
            outcomes.append("outside")
        elif start - taken.get(inside[0], -np.inf) < calibrator.LEAST_STEP_S - 1e-6:
            outcomes.append("near")
        else:
            taken[inside[0]] = start
            outcomes.append("taken")
    return outcomes


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["button", *["window"] * 6]), st.integers(1, 100).map(lambda n: n * 0.02)),
        max_size=60,
    )
)
def test_what_is_taken_follows_the_intervals(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    collected = Calibrator(ENCODER, clock)
    now, outcomes = 0.0, []
    for step, seconds in steps:
        if step == "window":
            now += seconds
            clock.at(now)
            outcomes.append(collected.add(window(round(now - 5, 6))))
        elif collected.going_on is None:
            collected.begin("walking")
        else:
            collected.end()
    assert outcomes == plain_model(steps)
    assert collected.counts.get("walking", 0) == outcomes.count("taken")


def test_a_bout_that_was_flushed_before_its_first_window_takes_none_of_the_next(
    collected: Calibrator, clock: Clock
) -> None:
    collected.begin("sitting")
    clock.newest_ns = None  # flushed after three seconds
    collected.end()
    collected.begin("walking")
    clock.at(15.1)
    assert collected.add(window(10, after_reset=True)) == "taken"
    clock.at(16.1)
    assert collected.add(window(11)) == "taken"
    assert collected.counts == {"walking": 2}


def test_what_was_open_to_a_flush_ends_though_the_first_window_after_it_was_refused(
    collected: Calibrator, clock: Clock
) -> None:
    collected.begin("walking")
    clock.newest_ns = None
    collected.end()
    assert collected.add(window(1)) == "taken"
    clock.at(60)  # what says that the stream began anew, the window at 50 s, was refused
    assert collected.add(window(51)) == "outside"


def test_what_was_open_to_a_flush_ends_where_the_next_begins(collected: Calibrator, clock: Clock) -> None:
    collected.begin("walking")
    clock.newest_ns = None
    collected.end()
    collected.begin("sitting")
    assert collected.add(window(51)) == "taken"
    assert collected.counts == {"sitting": 1}


def test_a_step_back_is_seen_where_the_first_windows_after_it_were_refused(collected: Calibrator, clock: Clock) -> None:
    clock.at(1)
    collected.begin("sitting")
    clock.at(25)
    assert [collected.add(window(start)) for start in (1, 20)] == ["taken", "taken"]
    collected.end()
    clock.at(10)  # set back to 1 s; what says so, the window at 1 s, was refused
    assert [collected.add(window(start)) for start in (5, 6)] == ["outside", "outside"]
    clock.at(30)
    assert [collected.add(window(start)) for start in (7, 19)] == ["outside", "outside"], "that clock is over"


def test_a_bout_takes_no_window_while_the_clock_has_yet_to_reach_its_end(collected: Calibrator, clock: Clock) -> None:
    collected.begin("sitting")
    clock.at(20)
    collected.end()
    clock.at(10)  # set back before any window was shown
    assert collected.add(window(4)) == "outside"
