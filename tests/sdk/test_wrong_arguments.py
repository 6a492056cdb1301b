"""What is no stream, no head, no number ...: the typed error of the place that it was given to, never a foreign one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from recognitions import ENCODER, Clock, window

import primus_sdk
from primus_sdk import (
    CalibrationError,
    Calibrator,
    Head,
    HeadError,
    HeadStore,
    Live,
    MountLearner,
    OutputError,
    Recogniser,
    StreamError,
    check_pose,
)
from primus_sdk.calibration.examples import Examples
from primus_sdk.calibration.fit import fit_head
from primus_sdk.calibration.validation import cross_validate
from primus_sdk.recordings import Samples
from primus_sdk.windowing.windows import WindowStream

EMBEDDINGS = np.random.default_rng(0).normal(size=(8, 512))
LABELS = list("aabbaabb")


@pytest.fixture(scope="module")
def recogniser():
    with primus_sdk.load() as recogniser:
        yield recogniser


async def all_of(iterator: Any) -> list[Any]:
    return [item async for item in iterator]


OF_STREAMS: dict[str, Callable[[Recogniser], Any]] = {
    "a gate that is called off": lambda r: r.stream(rest_gate="off"),
    "a gate of numbers": lambda r: r.replay([], rest_gate=np.zeros(3)),
    "smoothing over True": lambda r: r.stream(smoothing=True),
    "a batch of True": lambda r: r.replay([], batch=True),
    "a capacity of True": lambda r: Live(r.stream(), capacity=True),
    "live of nothing": lambda r: Live(None),
    "over nothing": lambda r: list(r.stream().over(None)),
    "over nothing, asynchronously": lambda r: asyncio.run(all_of(r.stream().aover(None))),
    "a sensor that is an array": lambda r: list(r.stream().over([(np.array(["both", "x"]), 2, 3)])),
    "samples of nothing": lambda r: list(r.replay((Samples(None, None),) * 2)),
    "times that are texts": lambda r: list(r.replay((Samples(np.array(["x"]), np.zeros((1, 3))),) * 2)),
    "times under a mask": lambda r: r.stream().push_gyroscope(np.ma.array([1, 2], mask=[0, 1]), np.zeros((2, 3))),
    "booleans under no mask": lambda r: r.stream().push_gyroscope([1], np.ma.array([[True, False, True]])),
    "a replay's times under a mask": lambda r: list(
        r.replay((Samples(np.ma.array([1, 2], mask=[0, 1]), np.zeros((2, 3))),) * 2)
    ),
    "a replay's times that are floats": lambda r: list(r.replay((Samples(np.array([np.inf]), np.zeros((1, 3))),) * 2)),
    "samples of one axis": lambda r: list(r.replay((Samples(np.arange(3), np.zeros(3)),) * 2)),
    "sensors that are none": lambda r: check_pose(np.ones((3, 100)), sensors=None),
}


@pytest.mark.parametrize("wrong", OF_STREAMS.values(), ids=OF_STREAMS)
def test_of_streams_it_is_a_stream_error(recogniser: Recogniser, wrong: Callable[[Recogniser], Any]) -> None:
    with pytest.raises(StreamError, match=r"expected|shapes|masked"):
        wrong(recogniser)


def test_whole_numbers_of_numpy_are_whole_numbers(recogniser: Recogniser) -> None:
    recogniser.stream(smoothing=np.int64(3), rest_gate=np.bool_(True))
    recogniser.replay([], batch=np.int32(8))
    Live(recogniser.stream(), capacity=np.int64(10))
    assert cross_validate(EMBEDDINGS, LABELS, [*range(8)], ENCODER, folds=np.int64(2)).folds == 2


OF_CALIBRATION: dict[str, Callable[[], Any]] = {
    "a rate that is a text": lambda: Calibrator(ENCODER, Clock(), least_hz="x"),
    "a rate that is no number": lambda: Calibrator(ENCODER, Clock(), least_hz=float("nan")),
    "a rate below any": lambda: Calibrator(ENCODER, Clock(), least_hz=19),
    "no recogniser": lambda: Calibrator(None, Clock()),
    "no stream": lambda: Calibrator(ENCODER, None),
    "no recognition": lambda: Calibrator(ENCODER, Clock()).add(None),
    "a label to rename that is a list": lambda: Calibrator(ENCODER, Clock()).rename(["a"], "b"),
    "a label that is a list": lambda: Calibrator(ENCODER, Clock()).remove([]),
    "half a letter": lambda: Calibrator(ENCODER, Clock()).begin("caf\udce9"),
    "a file that is a number": lambda: Calibrator(ENCODER, Clock()).load(5),
    "no groups": lambda: cross_validate(EMBEDDINGS, LABELS, None, ENCODER),
    "groups that are lists": lambda: cross_validate(EMBEDDINGS, LABELS, [[1]] * 8, ENCODER),
    "groups of two axes": lambda: cross_validate(EMBEDDINGS, LABELS, np.zeros((8, 2)), ENCODER),
    "labels without an order": lambda: fit_head(EMBEDDINGS[:2], {"a", "b"}, ENCODER),
    "the sensors in use": lambda: MountLearner().sensors(None),
}


@pytest.mark.parametrize("wrong", OF_CALIBRATION.values(), ids=OF_CALIBRATION)
def test_of_calibration_it_is_a_calibration_error(wrong: Callable[[], Any]) -> None:
    with pytest.raises(CalibrationError):
        wrong()


OF_HEADS: dict[str, Callable[[], Any]] = {
    "bytes that are a text": lambda: Head.from_bytes("abc"),
    "a version that is a fraction": lambda: HeadStore("none").roll_back(2.0),
    "a version of thousands of digits": lambda: HeadStore("none").load(10**5000),
    "bytes of a text's head": lambda: Head.from_bytes(bytearray(b"abc")),
    "a prior that is a text": lambda: cross_validate(EMBEDDINGS, LABELS, [*range(8)], ENCODER, prior="q"),
    "more windows than can be": lambda: Head(
        ("a", "b"), EMBEDDINGS[:2], np.zeros(2), ENCODER, counts={"a": 10**5000}
    ).to_bytes(),
    "half a letter": lambda: Head(("a", "caf\udce9"), EMBEDDINGS[:2], np.zeros(2), ENCODER),
}


@pytest.mark.parametrize("wrong", OF_HEADS.values(), ids=OF_HEADS)
def test_of_heads_it_is_a_head_error(wrong: Callable[[], Any]) -> None:
    with pytest.raises(HeadError):
        wrong()


def test_what_is_no_head_is_not_saved(tmp_path) -> None:
    with pytest.raises(HeadError, match="expected a Head"):
        HeadStore(tmp_path / "heads").save(None)
    with pytest.raises(OutputError, match="expected a path"):
        Examples.none(ENCODER).save(5)


def test_values_under_a_mask_are_missing() -> None:
    times, values = np.arange(600) * 10_000_000, np.tile([0, 9.8, 0.0], (600, 1))
    masked = np.ma.array(values.copy(), mask=np.zeros_like(values, bool))
    masked[100:103, 1] = np.ma.masked
    stream, other = WindowStream(), WindowStream()
    stream.push_accelerometer(times, masked)
    values[100:103] = np.nan
    other.push_accelerometer(times, values)
    first, second = (s.push_gyroscope(times, np.zeros((600, 3))) + s.flush() for s in (stream, other))
    assert stream.dropped == other.dropped
    assert stream.dropped.invalid == 3
    assert [w.imu.tobytes() for w in first] == [w.imu.tobytes() for w in second]


def test_where_every_window_was_left_out_it_says_why() -> None:
    clock = Clock()
    collected = Calibrator(ENCODER, clock)
    clock.at(0)
    collected.begin("walking")
    clock.at(20)
    for start in range(10):
        collected.add(window(start, accelerometer_hz=25.0, gyroscope_hz=25.0))
    for ask in (collected.fit, collected.report):
        with pytest.raises(CalibrationError, match=r"left out: 10 slow.*least_hz"):
            ask()
