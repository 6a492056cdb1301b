"""The paper's figures of any results: few-shot curves (Fig. 4), ablations (5), aligned data (6), and confusions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from primus_models.errors import EvaluationError
from primus_models.evaluation.panels import GREY, Panel, chosen, most_shots, panels, styles
from primus_models.evaluation.protocol import ALL, NONE
from primus_models.evaluation.results import Entry, Results, Score
from primus_models.evaluation.scores import Mean
from primus_sdk.commands._picture import INK, PALE, SOFT, confusion, drawing, name

__all__ = ["Metric", "ablations", "aligned", "chosen", "confusions", "few_shot"]

Metric = Literal["accuracy", "macro-f1", "both"]
_ROWS: dict[Metric, tuple[str, ...]] = {
    "accuracy": ("accuracy",), "macro-f1": ("macro F1",), "both": ("accuracy", "macro F1")
}  # fmt: skip
_FONT = 9  # points
_PANEL = 3.2  # inches, a panel's height without its labels
_MOST_MATRICES = 6


def few_shot(found: Sequence[Results], path: Path, metric: Metric = "both") -> None:
    """Fig. 4: score over shots a label, with bands of one standard error; zero-shot to the left, "all" to the right.

    Raises:
        EvaluationError: nothing was fitted on shots. RuntimeUnavailableError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    made = panels(found)
    most_shots(made, None if all(len(p.shots) for p in made) else ALL)
    style = styles(made)
    with _grid(path, made, metric, "Few-shot recognition of people not seen") as grid:
        for axes, panel, row in grid:
            places = _places(panel)
            ends = []
            for entry in panel.entries:
                colour, marker = style[entry.name]
                shots = [] if entry.kind == "guessing" else [s for s in places if s in entry.scores]
                if not shots:
                    means = [_figure(entry.scores[NONE], row)]
                    axes.axhline(100 * means[0].value, ls=(0, (4, 3)), lw=1.3, color=colour)
                else:
                    means = [_figure(entry.scores[s], row) for s in shots]
                    _curve(axes, [places[s] for s in shots], means, colour, marker)
                x = places[shots[-1]] if shots else max(places.values())
                ends.append((x, 100 * means[-1].value, entry.label, colour))
            axes.set_xscale("log")
            axes.set_xticks(list(places.values()), [_shots_name(s) for s in places])
            axes.xaxis.set_minor_locator(_none())
            axes.set_xlim(min(places.values()) / 1.25, max(places.values()) * 1.25)
            axes.set_xlabel("labelled windows of each activity")
            _label_ends(axes, ends)


def ablations(found: Sequence[Results], path: Path, metric: Metric = "both", shots: str | None = None) -> None:
    """Fig. 5: one bar a candidate at one number of shots, with standard errors.

    Raises:
        EvaluationError: it was not measured at so many shots. RuntimeUnavailableError, OutputError: as `few_shot`.
    """
    made = panels(found)
    at = most_shots(made, shots)
    style = styles(made)
    most = max(len(panel.entries) for panel in made)
    title = f"At {_spoken(at)} an activity"
    with _grid(path, made, metric, title, height=0.9 + 0.42 * most, width=6.2) as grid:
        for axes, panel, row in grid:
            shown = [(entry, _at(entry, at)) for entry in panel.entries]
            bars = [(entry, _figure(score, row)) for entry, score in shown if score is not None]
            for place, (entry, mean) in enumerate(bars):
                value, error = 100 * mean.value, 100 * (mean.error or 0)
                axes.barh(place, value, 0.68, color=style[entry.name][0], alpha=0.9)
                axes.errorbar(value, place, xerr=error, color=INK, lw=1.2, capsize=3)
                axes.annotate(f"{value:.1f}", (value + error, place), xytext=(5, 0), textcoords="offset points",
                              va="center", fontsize=_FONT, color=INK)  # fmt: skip
            axes.set_yticks(range(len(bars)), [name(entry.label) for entry, _ in bars])
            axes.set_ylim(len(bars) - 0.45, -0.55)
            axes.set_xlim(0, min(112, 1.15 * max((100 * mean.value for _, mean in bars), default=100)))
            axes.grid(visible=False, axis="y")
            axes.set_ylabel("")
            axes.set_xlabel(f"{row}, %")


def aligned(found: Sequence[Results], path: Path, metric: Metric = "both", shots: str | None = None) -> None:
    """Fig. 6: score at one number of shots over the share of pretraining windows with text or video.

    Candidates of one name are one curve; those that have no share are lines across.

    Raises:
        EvaluationError: no candidate has a share, or it was not measured at so many shots.
        RuntimeUnavailableError, OutputError: as `few_shot`.
    """
    made = panels(found)
    if not any(entry.aligned is not None for panel in made for entry in panel.entries):
        raise EvaluationError(
            "no candidate says what share of its windows was aligned: measure with NAME@SHARE=PATH, such as "
            "PRIMUS@10%=a.safetensors"
        )
    at, style = most_shots(made, shots), styles(made)
    with _grid(path, made, metric, f"Data efficiency, {_spoken(at)} an activity") as grid:
        for axes, panel, row in grid:
            ends = []
            for label in dict.fromkeys(entry.name for entry in panel.entries):
                colour, marker = style[label]
                mine = [(e, _at(e, at)) for e in panel.entries if e.name == label]
                points = [
                    (100 * e.aligned, _figure(score, row))
                    for e, score in mine if e.aligned is not None and score is not None
                ]  # fmt: skip
                points.sort(key=lambda point: point[0])
                if points:
                    _curve(axes, [x for x, _ in points], [mean for _, mean in points], colour, marker)
                    ends.append((points[-1][0], 100 * points[-1][1].value, label, colour))
                elif mine[0][1] is not None:
                    value = 100 * _figure(mine[0][1], row).value
                    axes.axhline(value, ls=(0, (4, 3)), lw=1.3, color=colour)
                    ends.append((104.0, value, label, colour))
            axes.set_xlim(0, 104)
            axes.set_xlabel("windows with text or video in pretraining, %")
            _label_ends(axes, ends)


def confusions(found: Sequence[Results], path: Path, shots: str | None = None) -> None:
    """A confusion matrix of each candidate, at most six, at one number of shots: shares of each true label, %.

    Raises:
        EvaluationError: there are more, or it was not measured at so many shots.
        RuntimeUnavailableError, OutputError: as `few_shot`.
    """
    made = panels(found)
    at = most_shots(made, shots)
    shown = [(p, e, _at(e, at)) for p in made for e in p.entries if e.kind != "guessing"]
    if not shown:
        raise EvaluationError(
            "guessing confuses all labels alike, so no matrix of it is drawn; choose another candidate"
        )
    if len(shown) > _MOST_MATRICES:
        raise EvaluationError(f"{len(shown)} confusion matrices are too many for one picture; choose with --candidate")
    columns = min(len(shown), 2)
    size = max(4.6, 0.42 * max(len(panel.data.labels) for panel in made) + 2.2)
    rows = -(-len(shown) // columns)
    with drawing(path, (size + 1.2) * columns, size * rows + 0.5) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        for axes, (panel, entry, score) in zip(grid.flat, shown, strict=False):
            if score is None:
                raise EvaluationError(f"{entry.name} was not measured at {at} shots")
            counts = score.confusion
            confusion(figure, axes, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), tuple(panel.data.labels))
            axes.set_title(
                f"{name(entry.label)}: {score.accuracy.value:.1%}, macro F1 {score.macro_f1.value:.1%}",
                loc="left", fontsize=10, color=INK,
            )  # fmt: skip
        sources = ", ".join(dict.fromkeys(name(panel.data.source) for panel in made))
        figure.suptitle(
            f"What was taken for what: {sources}, {_spoken(at)} an activity (share of each true label, %)",
            x=0.01, ha="left", fontsize=11, color=INK, fontweight="bold",
        )  # fmt: skip


class _grid:  # noqa: N801  (used as a context manager, like a function)
    """Panels of data sets across and metrics down, drawn and written at the end."""

    def __init__(
        self, path: Path, made: Sequence[Panel], metric: Metric, title: str, height: float = 3.5, width: float = 6.8
    ) -> None:
        self._made, self._rows, self._title = made, _ROWS[metric], title
        # One data set's metrics stand beside each other; several data sets' below.
        self._across = len(made) == 1
        columns, rows = (len(self._rows), 1) if self._across else (len(made), len(self._rows))
        self._shape = rows, columns
        self._drawing = drawing(path, width * columns, height * rows + 0.9)

    def __enter__(self) -> list[tuple[Any, Panel, str]]:
        figure = self._drawing.__enter__()
        axes = figure.subplots(*self._shape, squeeze=False)
        cells = [
            (axes[(0, r) if self._across else (r, c)], panel, row)
            for c, panel in enumerate(self._made)
            for r, row in enumerate(self._rows)
        ]
        for ax, panel, row in cells:
            _bare(ax, row)
            first = row == self._rows[0]
            if first or self._across:
                data = panel.data
                text = f"{len(data.users)} people, {len(data.labels)} activities, {panel.protocol}"
                ax.set_title(f"{name(data.source)}: {text}" if first else "", loc="left", fontsize=_FONT, color=SOFT)
        figure.suptitle(self._title, x=0.01, ha="left", fontsize=13, color=INK, fontweight="bold")
        return cells

    def __exit__(self, *raised: Any) -> None:
        self._drawing.__exit__(*raised)


def _bare(axes: Any, metric: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(length=0, labelsize=_FONT, labelcolor=INK)
    axes.grid(color=PALE, lw=0.8)
    axes.set_axisbelow(True)
    axes.set_ylabel(f"{metric}, %", fontsize=10, color=INK)
    axes.xaxis.label.set_color(INK)


def _curve(axes: Any, x: list[float], means: list[Mean], colour: str, marker: str) -> None:
    values, errors = (100 * np.array(v) for v in ([m.value for m in means], [m.error or 0.0 for m in means]))
    if len(x) == 1:  # a band of one point would not be seen
        axes.errorbar(x, values, yerr=errors, color=colour, lw=1.2, capsize=3)
    axes.fill_between(x, values - errors, values + errors, color=colour, alpha=0.18, lw=0)
    axes.plot(x, values, color=colour, marker=marker, ms=5, lw=1.8, mec="white", mew=0.6)


def _places(panel: Panel) -> dict[str, float]:
    """Where each number of shots stands on the log axis: "all" at its mean number a label, but clear of the others."""
    numbers = [int(s) for s in panel.shots if s != ALL]
    places = {str(n): float(n) for n in numbers}
    if any(NONE in e.scores and e.kind != "guessing" for e in panel.entries):
        places = {NONE: (min(numbers) if numbers else 1) / 2.5} | places
    if ALL in panel.shots:
        fitted = [e.scores[ALL].fitted_on for e in panel.entries if ALL in e.scores]
        places[ALL] = max(fitted[0] / len(panel.data.labels), 1.7 * max(numbers, default=1))
    return places


def _label_ends(axes: Any, ends: list[tuple[float, float, str, str]]) -> None:
    """Names right of the curves' ends (x, y, name, colour), moved apart where they would lie on each other."""
    low, high = axes.get_ylim()
    low = max(0.0, low)
    axes.set_ylim(low, high)
    axes.autoscale(enable=False)
    ends = sorted(ends, key=lambda end: end[1])
    heights = _apart([y for _, y, _, _ in ends], (high - low) * _FONT * 1.35 / 72 / _PANEL, low, high)
    for height, (x, y, label, colour) in zip(heights, ends, strict=True):
        line = {"arrowstyle": "-", "relpos": (0, 0.5), "color": colour, "lw": 0.8, "alpha": 0.6, "shrinkB": 4}
        axes.annotate(
            name(label), (x, y), xytext=(1.05, (height - low) / (high - low)), textcoords="axes fraction", va="center",
            fontsize=_FONT, color=colour if colour != GREY else SOFT, annotation_clip=False, arrowprops=line,
        )  # fmt: skip


def _apart(values: list[float], gap: float, low: float, high: float) -> list[float]:
    """Sorted values moved as little as needed to be `gap` apart: those that collide spread about their mean."""
    groups: list[list[float]] = []
    for value in values:
        groups.append([value])
        while len(groups) > 1:
            below, above = groups[-2], groups[-1]
            reach = gap * (len(below) + len(above)) / 2
            if float(np.mean(above)) - float(np.mean(below)) >= reach:
                break
            groups[-2:] = [below + above]
    placed = [float(np.mean(g)) + gap * (i - (len(g) - 1) / 2) for g in groups for i in range(len(g))]
    for place in range(len(placed)):  # nothing below the axis, then nothing above it
        placed[place] = max(placed[place], low + place * gap)
    for place in range(len(placed)):
        placed[-1 - place] = min(placed[-1 - place], high - place * gap)
    return placed


def _at(entry: Entry, shots: str) -> Score | None:
    """The score at so many shots; of what is not fitted, its only one."""
    return entry.scores.get(shots) or (entry.scores.get(NONE) if set(entry.scores) == {NONE} else None)


def _figure(score: Score, metric: str) -> Mean:
    return score.accuracy if metric == "accuracy" else score.macro_f1


def _shots_name(shots: str) -> str:
    return {NONE: "zero\nshots"}.get(shots, shots)


def _spoken(shots: str) -> str:
    return "all windows" if shots == ALL else f"{shots} labelled window{'s' if shots != '1' else ''}"


def _none() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()
