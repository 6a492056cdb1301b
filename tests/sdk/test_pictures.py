"""The pictures of the commands: any label, any number of people, time as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from primus_sdk.commands import _confusion, _picture, _plot, _timeline
from primus_sdk.commands._moments import moments
from primus_sdk.commands._scores import Scores, scores
from primus_sdk.commands._session import Step, Take
from primus_sdk.heads.prediction import Prediction

NAMES = ["$x^{$", "walk $5 and $6", "läuft 走る 🏃", "a" * 300, "two\nlines", "e\x1b[2J", "none of these", "_hidden"]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn, as they were when they were written."""
    seen: list[Any] = []
    drawing = _picture.drawing

    @contextlib.contextmanager
    def watched(*arguments: Any) -> Iterator[Any]:
        with drawing(*arguments) as figure:
            seen.append(figure)
            yield figure

    for module in (_plot, _timeline, _confusion):
        monkeypatch.setattr(module, "drawing", watched)
    return seen


def steps_of(take: Take, labels: list[str], starts: list[float], names: list[str], least: float = 0.0) -> list[Step]:
    found = []
    for label, start in zip(labels, starts, strict=True):
        values = np.array([0.9 if name == label else 0.1 / (len(names) - 1) for name in names])
        prediction = Prediction(
            label if least < 0.9 else None, label, 0.9, tuple(names), values, np.zeros(512, np.float32)
        )
        found.append(Step(take, SimpleNamespace(prediction=prediction), start))  # type: ignore[arg-type]
    return found


def trial(people: int, names: list[str], windows: int = 10) -> tuple[list[Step], Scores]:
    steps = []
    for user in range(people):
        for name in names:
            take = Take(f"{user} {name}", (), str(user), name)
            steps += steps_of(take, [name] * windows, list(map(float, range(windows))), names)
    return steps, scores([step.take.true or "" for step in steps], [step.label for step in steps])


def texts(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize("people", [1, 2, 3, 8])
@pytest.mark.parametrize("labels", [2, 8, 25])
def test_a_trials_legend_is_in_the_picture_and_over_nothing(
    figures: list[Any], tmp_path: Path, people: int, labels: int
) -> None:
    steps, result = trial(people, [f"activity {n}" for n in range(labels)])
    _plot.draw(tmp_path / "a.png", steps, result, 1.0, "of", "others")
    (figure,) = figures
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert len(legend.get_texts()) == labels
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    for axes in figure.axes:
        assert not axes.get_tightbbox().overlaps(box)


@pytest.mark.parametrize("kind", ["trial", "timeline", "confusion"])
def test_any_label_is_drawn_as_it_is_and_without_a_warning(
    figures: list[Any], tmp_path: Path, recwarn: pytest.WarningsRecorder, kind: str
) -> None:
    steps, result = trial(2, NAMES)
    path = tmp_path / "a.png"
    if kind == "trial":
        _plot.draw(path, steps, result, 1.0, "of $", "others")
    elif kind == "timeline":
        _timeline.draw(path, steps, 1.0, "of $x^{$")
    else:
        _confusion.draw(path, result, "of $")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert not recwarn.list
    shown = texts(figures[0])
    for label in ("$x^{$", "walk $5 and $6", "läuft 走る 🏃", "two\\nlines", "e\\x1b[2J"):
        assert label in shown
    assert all(len(text) <= 200 for text in shown)
    assert not any(text.get_parse_math() for text in figures[0].findobj(Text))
    if kind == "trial":
        assert [text.get_text() for text in figures[0].legends[0].get_texts()][-1] == "walk $5 and $6"
        assert len(figures[0].legends[0].get_texts()) == len(NAMES)


def test_a_gap_is_as_long_as_it_was_and_blank() -> None:
    steps = steps_of(Take("a", ()), ["x"] * 4, [0.0, 1.0, 121.0, 122.0], ["x", "y"])
    laid = moments(steps, 1.0)
    assert laid.unit == "seconds"
    assert laid.end == 127
    assert laid.bars(["x"] * 4) == [(4.0, 2.0, "x"), (125.0, 2.0, "x")]
    edges, columns = laid.columns(np.ones((2, 4)))
    assert edges.tolist() == [0, 4, 5, 6, 125, 126, 127]
    assert columns.mask.any(axis=0).tolist() == [True, False, False, True, False, False]


def test_a_window_is_drawn_where_it_ends_and_a_recording_as_long_as_it_was() -> None:
    laid = moments(steps_of(Take("a", ()), ["x"] * 21, list(map(float, range(21))), ["x", "y"]), 1.0)
    assert (laid.starts[0], laid.ends[0], laid.end) == (4, 5, 25)
    often = moments(steps_of(Take("a", ()), ["x"] * 3, [0.0, 0.5, 1.0], ["x", "y"]), 0.5)
    assert often.bars(["x"] * 3) == [(4.5, 1.5, "x")]


def test_recordings_follow_each_other_and_a_clock_that_was_set_back_goes_on() -> None:
    first, second = Take("a", ()), Take("b", ())
    steps = steps_of(first, ["x"] * 2, [0.0, 1.0], ["x", "y"]) + steps_of(
        second, ["x", "y", "y"], [0.5, 1.5, -300.0], ["x", "y"]
    )
    laid = moments(steps, 1.0)
    assert laid.starts.tolist() == [4, 5, 10.5, 11.5, 16.5]
    assert laid.ends.tolist() == [5, 6, 11.5, 12.5, 17.5]


def test_windows_closer_than_a_hop_do_not_overlap_and_long_streams_are_in_minutes() -> None:
    laid = moments(steps_of(Take("a", ()), ["x"] * 3, [0.0, 7.0, 600.0], ["x", "y"]), 10.0)
    assert laid.unit == "minutes"
    np.testing.assert_allclose(laid.starts * 60, [0, 7, 600])
    np.testing.assert_allclose(laid.ends * 60, [5, 12, 605])
    anew = moments(steps_of(Take("a", ()), ["x"] * 2, [0.0, 0.4], ["x", "y"]), 1.0)  # after a reset
    np.testing.assert_allclose(anew.starts, [4, 5])
    np.testing.assert_allclose(anew.ends, [5, 5.4])


@pytest.mark.parametrize("hop", [0.5, 1.0, 10.0])
@pytest.mark.parametrize("kind", ["trial", "timeline"])
def test_the_axis_says_where_a_window_is_drawn(figures: list[Any], tmp_path: Path, hop: float, kind: str) -> None:
    steps, result = trial(2, ["x", "y"])
    if kind == "trial":
        _plot.draw(tmp_path / "a.png", steps, result, hop, "of", "others")
    else:
        _timeline.draw(tmp_path / "a.png", steps, hop, "of")
    words = figures[0].axes[0].get_xlabel()
    assert f"each 5 s window is drawn over its last {min(hop, 5):g} s (its label is known when it ends)" in words


@pytest.mark.parametrize("recordings", [2, 5, 12])
def test_the_names_of_recordings_lie_over_nothing(figures: list[Any], tmp_path: Path, recordings: int) -> None:
    steps: list[Step] = []
    for number in range(recordings):
        take = Take(f"walking/a recording of {number}.csv", (), None, "x")
        steps += steps_of(take, ["x"] * 10, list(map(float, range(10))), ["x", "y"])
    _timeline.draw(tmp_path / "a.png", steps, 1.0, "of")
    (figure,) = figures
    axes, picture = figure.axes[0], figure.axes[0].get_window_extent()
    names = [text for text in figure.findobj(Text) if "walking/" in text.get_text() and text.get_visible()]
    assert len(names) == recordings
    for text in names:
        box = text.get_window_extent()
        assert box.y0 >= picture.y1 - 1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        assert not box.overlaps(axes.title.get_window_extent())
        assert not box.overlaps(axes._left_title.get_window_extent())


def test_cells_and_colours_of_confusions_are_in_percent(figures: list[Any], tmp_path: Path) -> None:
    _, result = trial(2, ["x", "y"])
    _confusion.draw(tmp_path / "a.png", result, "of")
    matrix, bar = figures[0].axes
    assert "100" in [text.get_text() for text in matrix.texts]
    assert bar.get_ylim() == (0, 100)
    assert "100 %" in [label.get_text() for label in bar.get_yticklabels()]
    assert matrix.images[0].get_array().max() == 100


def test_labels_that_no_encoding_takes_are_drawn_by_number(figures: list[Any], tmp_path: Path) -> None:
    steps, result = trial(1, ["caf\udce9", "y"])
    _plot.draw(tmp_path / "a.png", steps, result, 1.0, "caf\udce9", "others")
    _timeline.draw(tmp_path / "a.png", steps, 1.0, "caf\udce9")
    _confusion.draw(tmp_path / "a.png", result, "caf\udce9")
    for figure in figures:
        assert any("caf\\udce9" in text for text in texts(figure))


def test_rejected_windows_are_told_from_a_label_of_the_same_name(figures: list[Any], tmp_path: Path) -> None:
    names = ["none of these", "walking"]
    steps = steps_of(Take("a", ()), ["none of these"] * 5, list(map(float, range(5))), names)
    steps += steps_of(Take("b", ()), ["none of these"] * 5, list(map(float, range(5))), names, least=0.95)
    assert steps[0].label == "none of these" != steps[-1].label
    _timeline.draw(tmp_path / "a.png", steps, 1.0, "of")
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["none of these", "(none of these)"]


def test_a_probability_stands_beside_the_label_that_it_is_of() -> None:
    (said,) = steps_of(Take("a", ()), ["walking"], [0.0], ["walking", "y"])
    (rejected,) = steps_of(Take("a", ()), ["walking"], [0.0], ["walking", "y"], least=0.95)
    assert (said.label, said.sure) == ("walking", "90%")
    assert (rejected.label, rejected.sure) == ("none of these", "(walking 90%)")
