"""A file that misses its bound is refused, and a lowered bound is said to be lowered."""

from __future__ import annotations

import numpy as np
import pytest

from primus_export.errors import ParityError
from primus_export.parity import Bound, bound_for, compare
from primus_models.graph import Array


def embeddings(seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((8, 512)).astype(np.float32)


def test_equal_outputs_hold_every_bound() -> None:
    same = {"embedding": embeddings()}
    for bound in (bound_for("fp32", "float32"), bound_for("int8", "float32"), bound_for("int4", "float32")):
        report = compare(same, same, bound, "made")
        report.check("encoder.onnx")
        assert report.min_cosine == pytest.approx(1)
        assert report.max_difference_rms == 0


@pytest.mark.parametrize(("precision", "noise"), [("fp32", 3e-5), ("fp16", 0.03), ("int8", 0.03), ("int4", 0.1)])
def test_one_bad_window_is_enough_to_be_refused(precision: str, noise: float) -> None:
    expected = embeddings()
    actual = expected.copy()
    actual[5] += noise * embeddings(1)[5]
    report = compare({"embedding": expected}, {"embedding": actual}, bound_for(precision, "float32"), "made")  # type: ignore[arg-type]
    with pytest.raises(ParityError, match=r"encoder.onnx is not written.*--m"):
        report.check("encoder.onnx")


def test_outputs_that_are_not_numbers_are_refused() -> None:
    for bound in (bound_for("fp32", "float32"), bound_for("int8", "float32")):
        for wrong in (np.full((8, 512), np.nan, np.float32), np.zeros((8, 512), np.float32)):
            with pytest.raises(ParityError):
                compare({"embedding": embeddings()}, {"embedding": wrong}, bound, "made").check("encoder.onnx")


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(ParityError, match="shape"):
        compare({"embedding": embeddings()}, {"embedding": embeddings()[:, :256]}, bound_for("int8", "float32"), "made")


def test_a_lowered_bound_is_recorded_and_a_raised_one_is_not_called_lowered() -> None:
    assert bound_for("int8", "float32", min_cosine=0.99) == Bound("min_cosine", 0.99, lowered=True)
    assert bound_for("int8", "float32", min_cosine=0.99999) == Bound("min_cosine", 0.99999)
    assert bound_for("fp32", "float32", max_difference=1e-3) == Bound("max_difference_rms", 1e-3, lowered=True)
    assert bound_for("fp32", "float32", min_cosine=0.5) == bound_for("fp32", "float32")


def test_the_known_answer_leaves_other_runtimes_twice_the_room() -> None:
    assert bound_for("int8", "float32").known_answer_cosine == pytest.approx(0.9998)
    assert bound_for("fp32", "float32").known_answer_cosine == pytest.approx(0.99999)
