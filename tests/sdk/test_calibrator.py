"""Examples from a live stream: what is taken, what is left out and why, and what is kept of it."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from recognitions import ENCODER, Clock, bout, window

from primus_sdk.calibration import admission, calibrator
from primus_sdk.calibration.calibrator import Calibrator, Outcome
from primus_sdk.calibration.examples import MOST_LABELS, MOST_OF_A_LABEL, Examples
from primus_sdk.errors import CalibrationError
from primus_sdk.recogniser import load

TILT = np.array([[1.0, 0.0, 0.0], [0.0, 0.8, -0.6], [0.0, 0.6, 0.8]])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collected(clock: Clock) -> Calibrator:
    return Calibrator(ENCODER, clock)


@pytest.mark.parametrize(
    ("quality", "outcome"),
    [
        ({"coverage": admission.LEAST_COVERAGE - 0.01}, "gaps"),
        ({"coverage": admission.LEAST_COVERAGE}, "taken"),
        ({"saturated": admission.MOST_SATURATED + 0.01}, "saturated"),
        ({"saturated": admission.MOST_SATURATED}, "taken"),
        ({"accelerometer_hz": admission.LEAST_HZ - 0.1}, "slow"),
        ({"gyroscope_hz": admission.LEAST_HZ - 0.1}, "slow"),
        ({"accelerometer_hz": admission.LEAST_HZ, "gyroscope_hz": 200.0}, "taken"),
        ({"after_reset": True}, "taken"),
        ({"still": True}, "taken"),
    ],
)
def test_poor_windows_are_left_out_and_counted(quality: dict[str, object], outcome: Outcome) -> None:
    collected = Calibrator(ENCODER, Clock())
    collected.begin("walking")
    assert collected.add(window(1, **quality)) == outcome
    assert collected.left_out == ({} if outcome == "taken" else {outcome: 1})
    assert collected.counts == ({"walking": 1} if outcome == "taken" else {})


def test_slow_sensors_can_be_let_in() -> None:
    collected = Calibrator(ENCODER, Clock(), least_hz=20)
    collected.begin("walking")
    assert collected.add(window(1, accelerometer_hz=25.0, gyroscope_hz=25.0)) == "taken"


def test_a_held_embedding_is_never_an_example(collected: Calibrator) -> None:
    collected.begin("sitting")
    assert [collected.add(window(s, held=s > 1, still=True)) for s in (1, 2, 3)] == ["taken", "held", "held"]
    assert collected.left_out == {"held": 2}


def test_windows_that_show_nearly_the_same_are_left_out(collected: Calibrator) -> None:
    collected.begin("walking")
    starts = np.arange(0, 5, 0.1)
    taken = [start for start in starts if collected.add(window(start)) == "taken"]
    assert np.diff(taken).min() == pytest.approx(calibrator.LEAST_STEP_S)
    assert len(taken) == 10


def test_misuse_is_typed_and_loses_nothing(collected: Calibrator, clock: Clock) -> None:
    with pytest.raises(CalibrationError, match="no bout is going on"):
        collected.end()
    with pytest.raises(CalibrationError, match="no bout to undo"):
        collected.undo()
    for label in ("", None, 3, "x" * 201):
        with pytest.raises(CalibrationError, match="the label is"):
            collected.begin(label)  # type: ignore[arg-type]
    collected.begin("walking")
    with pytest.raises(CalibrationError, match="'walking' is going on; end"):
        collected.begin("running")
    with pytest.raises(CalibrationError, match="'walking' is going on; end"):
        collected.remove("walking")
    assert collected.add(window(1)) == "taken"
    clock.at(6)
    collected.end()
    for wrong in (lambda: collected.remove("flying"), lambda: collected.rename("flying", "x")):
        with pytest.raises(CalibrationError, match="no examples of 'flying'"):
            wrong()
    with pytest.raises(CalibrationError, match="the label is ''"):
        collected.rename("walking", "")
    assert collected.counts == {"walking": 1}


def test_too_few_examples_are_said(collected: Calibrator, clock: Clock) -> None:
    for call in (collected.fit, collected.report):
        with pytest.raises(CalibrationError, match="no examples yet"):
            call()
    bout(collected, clock, "walking", 0, 10)
    for call in (collected.fit, collected.report):
        with pytest.raises(CalibrationError):
            call()


def test_undo_takes_back_the_last_bout_alone(collected: Calibrator, clock: Clock) -> None:
    bout(collected, clock, "walking", 0, 10)
    bout(collected, clock, "walking", 20, 28)
    assert collected.counts == {"walking": 10}
    assert collected.undo() == 4
    assert collected.counts == {"walking": 6}
    assert collected.add(window(23)) == "outside", "nor does a late window of it come in"
    with pytest.raises(CalibrationError, match="no bout to undo"):
        collected.undo()
    collected.begin("running")
    collected.add(window(28))
    assert collected.undo() == 1
    assert collected.going_on is None


def test_labels_are_removed_and_renamed(collected: Calibrator, clock: Clock) -> None:
    bout(collected, clock, "walking", 0, 10)
    bout(collected, clock, "runing", 20, 28)
    collected.rename("runing", "running")
    assert collected.counts == {"running": 4, "walking": 6}
    assert collected.remove("running") == 4
    assert collected.add(window(23.4)) == "outside"
    collected.rename("walking", "walking")
    assert collected.counts == {"walking": 6}


def test_memory_is_bounded_by_refusing_not_by_forgetting(
    monkeypatch: pytest.MonkeyPatch, collected: Calibrator, clock: Clock
) -> None:
    monkeypatch.setattr(calibrator, "MOST_OF_A_LABEL", 4)
    monkeypatch.setattr(calibrator, "MOST_LABELS", 2)
    assert bout(collected, clock, "walking", 0, 10) == ["taken"] * 4 + ["full"] * 2
    assert collected.examples.times_ns[0, 0] == 0
    bout(collected, clock, "running", 20, 26)
    with pytest.raises(CalibrationError, match="2 labels already"):
        collected.begin("flying")
    with pytest.raises(CalibrationError, match="more than 4 examples together"):
        collected.rename("running", "walking")
    collected.remove("running")
    bout(collected, clock, "flying", 40, 45)
    assert collected.counts == {"flying": 1, "walking": 4}


def test_examples_of_another_day_are_added(collected: Calibrator, clock: Clock, tmp_path: Path) -> None:
    bout(collected, clock, "walking", 0, 10)
    bout(collected, clock, "running", 20, 28)
    collected.save(tmp_path / "examples")
    another = Calibrator(ENCODER, clock)
    bout(another, clock, "walking", 5, 12)
    assert another.load(tmp_path / "examples") == 10
    assert another.counts == {"running": 4, "walking": 9}
    bout(another, clock, "sitting", 20, 25)
    found = another.examples
    assert len(set(zip(found.bouts.tolist(), found.labels, strict=True))) == 4 == len(set(found.bouts.tolist()))
    assert another.undo() == 1, "the bout of this day"
    assert np.array_equal(another.examples.embeddings[3:], collected.examples.embeddings)


def test_examples_that_do_not_fit_are_refused_whole(collected: Calibrator, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "examples"
    bout(collected, clock, "walking", 0, 10)
    collected.save(path)
    with pytest.raises(CalibrationError, match="collected with encoder abababababab, this one is cdcdcdcdcdcd"):
        Calibrator("cd" * 32, clock).load(path)
    tilted = Calibrator(ENCODER, clock, mount=TILT)
    with pytest.raises(CalibrationError, match="do not mix"):
        tilted.load(path)
    many = Examples(ENCODER, np.ones((300, 512)), ("walking",) * 300, np.zeros(300, int), np.tile([0, 5], (300, 1)))
    many.save(path)
    collected.load(path)
    with pytest.raises(CalibrationError, match="606 examples of 'walking'"):
        collected.load(path)
    assert collected.counts == {"walking": 306}


def test_one_thread_adds_while_another_begins_and_ends(clock: Clock) -> None:
    collected = Calibrator(ENCODER, clock)
    told: list[Outcome] = []
    wrong: list[BaseException] = []
    undone: list[int] = []
    stop = threading.Event()

    def buttons() -> None:
        try:
            for label in itertools.cycle("abc"):
                collected.begin(label)
                assert collected.going_on == label
                assert len(collected.examples) <= 400
                collected.end()
                if label == "c":
                    undone.append(collected.undo())
                if stop.is_set():
                    return
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=buttons)
    thread.start()
    for start in range(400):
        clock.at(start + 5)
        told.append(collected.add(window(start)))
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert not wrong
    assert sum(collected.left_out.values()) + told.count("taken") == 400
    assert len(collected.examples) == sum(collected.counts.values()) == told.count("taken") - sum(undone)


def test_bounds_hold_in_memory_what_the_file_may_hold() -> None:
    bytes_each = 512 * 4 + 4 + 4 + 16
    assert MOST_LABELS * MOST_OF_A_LABEL * bytes_each < 68 << 20


def test_from_a_live_stream_to_a_fitted_head(folder: Path, made: SimpleNamespace) -> None:
    with load(folder) as recogniser:
        stream = recogniser.stream(hop=1.0)
        collected = Calibrator(recogniser, stream)
        rng, seconds = np.random.default_rng(0), 30
        gravity = {"upright": (0.0, 9.8, 0.0), "lying": (0.0, 0.0, 9.8)}
        for turn, label in enumerate(["upright", "lying", "upright", "lying"]):
            times = (turn * seconds * 50 + np.arange(seconds * 50)) * 20_000_000
            rows = np.hstack([rng.normal(0, 0.3, (seconds * 50, 3)) + gravity[label], rng.normal(0, 0.1, (1500, 3))])
            stream.push(times[:1], rows[:1])
            collected.begin(label)
            for start in range(1, len(times), 10):
                for recognition in stream.push(times[start : start + 10], rows[start : start + 10]):
                    collected.add(recognition)
            collected.end()
        assert set(collected.counts) == {"upright", "lying"}
        assert min(collected.counts.values()) >= 48
        report = collected.report(folds=2)
        assert report.accuracy == 1.0
        recogniser.head = collected.fit()
        assert recogniser.head.counts == collected.counts
        assert recogniser.head.encoder_sha256 == made.encoder


def test_a_head_carries_the_mount_and_a_priors_labels(clock: Clock) -> None:
    collected = Calibrator(ENCODER, clock, mount=TILT)
    for label, begin in (("walking", 0), ("running", 20), ("walking", 40), ("running", 60)):
        bout(collected, clock, label, begin, begin + 9)
    factory = collected.fit()
    assert np.array_equal(factory.mount, TILT)
    added = Calibrator(ENCODER, clock, mount=TILT)
    bout(added, clock, "sitting", 100, 110)
    assert set(added.fit(prior=factory).labels) == {"walking", "running", "sitting"}
