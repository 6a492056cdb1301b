"""What is of the wrong type or beyond a range is the typed error of the place that it was given to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from primus_sdk import (
    BundleError,
    CalibrationError,
    Calibrator,
    FaultPolicy,
    Head,
    HeadError,
    HeadStore,
    MountLearner,
    PrimusError,
    Recogniser,
    Sensors,
    StreamError,
    WindowError,
    WindowStream,
    arguments,
    check_pose,
    load,
)
from primus_sdk.bundles import bundle
from primus_sdk.calibration.fit import fit_head

ENCODER = "ab" * 32
HUGE = 10**5000
"""An integer of more digits than a float holds, and than Python prints."""
EMBEDDINGS, LABELS = np.random.default_rng(0).normal(size=(4, 512)), ["a", "b", "a", "b"]
NOT_ONE = ("1", [1], 1j, True, np.array([1.0, 2.0]), float("nan"), HUGE)


@pytest.fixture(scope="module")
def recogniser(folder: Path) -> Recogniser:
    return load(folder)


@pytest.mark.parametrize("value", [None, 3, b"name", ["name"]], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    ("error", "call"),
    [
        (HeadError, Head.load),
        (HeadError, HeadStore),
        (HeadError, lambda value: fit_head(EMBEDDINGS, LABELS, ENCODER).save(value)),
        (BundleError, lambda value: bundle.read(value)),
    ],
    ids=["load a head", "a store", "save a head", "read a bundle"],
)
def test_a_path_that_is_none_is_refused(error: type[PrimusError], call: Callable[[Any], object], value: Any) -> None:
    with pytest.raises(error, match="expected a path"):
        call(value)


@pytest.mark.parametrize("value", NOT_ONE, ids=lambda value: f"{type(value).__name__}")
@pytest.mark.parametrize(
    ("error", "call"),
    [
        (StreamError, lambda value: WindowStream(value)),
        (StreamError, lambda value: FaultPolicy(fill_s=value)),
        (StreamError, lambda value: FaultPolicy(reset_s=value)),
        (StreamError, lambda value: FaultPolicy(reorder_s=value)),
        (StreamError, lambda value: Sensors(accelerometer_range=value)),
        (StreamError, lambda value: Sensors(gyroscope_range=value)),
        (CalibrationError, lambda value: MountLearner(value)),
        (StreamError, lambda value: check_pose(np.zeros((3, 100)), rate_hz=value)),
    ],
)
def test_a_number_that_is_none_is_refused(error: type[PrimusError], call: Callable[[Any], object], value: Any) -> None:
    with pytest.raises(error, match="expected"):
        call(value)


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (StreamError, lambda: WindowStream(None)),  # type: ignore[arg-type]
        (StreamError, lambda: FaultPolicy(None)),  # type: ignore[arg-type]
        (CalibrationError, lambda: MountLearner(None)),  # type: ignore[arg-type]
        (StreamError, lambda: WindowStream(sensors=None)),  # type: ignore[arg-type]
        (StreamError, lambda: WindowStream(policy=None)),  # type: ignore[arg-type]
        (StreamError, lambda: Sensors(convention=np.array(["ios", "android"]))),  # type: ignore[arg-type]
        (StreamError, lambda: Sensors(mount="x")),
        (StreamError, lambda: Sensors(mount=np.full((3, 3), 1e200))),
        (CalibrationError, lambda: fit_head("x", LABELS, ENCODER)),
        (CalibrationError, lambda: fit_head([[1], [1, 2]], LABELS, ENCODER)),  # type: ignore[list-item]
        (CalibrationError, lambda: fit_head(EMBEDDINGS * 1j, LABELS, ENCODER)),
        (CalibrationError, lambda: fit_head(EMBEDDINGS, None, ENCODER)),  # type: ignore[arg-type]
        (HeadError, lambda: fit_head(EMBEDDINGS, LABELS, ENCODER, mount="x")),
        (HeadError, lambda: fit_head(EMBEDDINGS, LABELS, ENCODER, prior=5)),  # type: ignore[arg-type]
        (HeadError, lambda: fit_head(EMBEDDINGS, LABELS, "")),
        (CalibrationError, lambda: Calibrator(ENCODER, WindowStream(), mount="x")),  # type: ignore[arg-type]
        (WindowError, lambda: MountLearner().add(None)),  # type: ignore[arg-type]
        (WindowError, lambda: MountLearner().add([[1], [1, 2]])),  # type: ignore[list-item]
    ],
)
def test_another_type_is_refused(error: type[PrimusError], call: Callable[[], object]) -> None:
    with pytest.raises(error):
        call()


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (StreamError, lambda r: r.stream(reject_below="x")),
        (StreamError, lambda r: r.stream(reject_below=None)),
        (StreamError, lambda r: r.stream(sensors=None)),
        (StreamError, lambda r: r.stream(policy=None)),
        (StreamError, lambda r: r.replay(None)),
        (StreamError, lambda r: r.replay(5)),
        (StreamError, lambda r: next(r.replay([5]))),
        (StreamError, lambda r: next(r.replay([("both", [1])]))),
        (StreamError, lambda r: next(r.replay(["abc"]))),
        (StreamError, lambda r: next(r.stream().over([("both", [1])]))),
        (StreamError, lambda r: next(r.stream().over([5]))),
        (HeadError, lambda r: setattr(r, "head", 5)),
        (WindowError, lambda r: r.embed("")),
    ],
)
def test_a_recogniser_refuses_another_type(
    recogniser: Recogniser, error: type[PrimusError], call: Callable[[Recogniser], object]
) -> None:
    head = Head(("a", "b"), np.zeros((2, 512)), np.zeros(2), recogniser.manifest.encoder_sha256, mount=np.eye(3))
    for present in (None, head):
        recogniser.head = present
        with pytest.raises(error):
            call(recogniser)
        assert recogniser.head is present


def test_no_windows_give_no_embeddings(recogniser: Recogniser) -> None:
    for nothing in ([], (), np.empty((0, 6, 250))):
        assert recogniser.embed(nothing).shape == (0, 512)
    with pytest.raises(WindowError):
        recogniser.embed(np.empty((0, 5, 250)))


def test_a_message_says_what_was_given_and_what_was_expected() -> None:
    assert str(arguments.wrong("x", "keep", "2 or more", HeadError)) == "keep is 'x'; expected 2 or more"
    assert str(arguments.wrong(HUGE, "keep", "less", HeadError)) == "keep is of the type int; expected less"
    assert len(str(arguments.wrong("x" * 10**6, "keep", "less", HeadError))) < 100
