"""The picture of what streamed outside of a trial: the probability of each label over time, and the label above it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from primus_sdk.commands._moments import Moments, axis_words, moments
from primus_sdk.commands._picture import INK, PALE, SOFT, drawing, legend, name, palette, title
from primus_sdk.commands._session import Step
from primus_sdk.errors import PrimusError

_STRIP = 0.42  # height of a strip of labels, where a label's row is 1
_MOST_NAMES = 12  # recordings that are named along the picture
_SLANT = 25  # degrees, of the names
_ROOM = 0.03  # of the axis, between two names: slanted, they then lie side by side


def draw(path: Path, steps: list[Step], hop: float, of: str) -> None:
    """Write a PNG: time to the right; true labels, where known, over recognised ones, over probabilities.

    A window is drawn where it ends, so the first seconds are blank; so is a gap, and what it takes until a window is
    full again.

    Raises:
        RuntimeUnavailableError: matplotlib is not installed.
        OutputError: the file cannot be written.
        PrimusError: there is nothing to draw.
    """
    if not steps:
        raise PrimusError("there is no window to draw; was there as much as 5 s?")
    labels = steps[0].prediction.labels
    when = moments(steps, hop)
    edges, rows = when.columns(np.stack([step.prediction.values for step in steps], axis=1))
    with drawing(path, 15, max(3.6, 0.42 * len(labels) + 2.4)) as figure:
        axes = figure.subplots()
        image = axes.pcolorfast(edges, np.arange(len(labels) + 1) - 0.5, rows, cmap="Blues", vmin=0, vmax=1)
        axes.set_yticks(range(len(labels)), [name(label) for label in labels], fontsize=9, color=INK)
        legend(figure, _strips(axes, steps, when, labels))
        _names(axes, steps, when)
        axes.set_xlim(0, when.end)
        axes.set_xlabel(axis_words(when, hop), color=INK)
        axes.set_title(title(of), loc="left", fontsize=12, color=INK, fontweight="bold")
        axes.spines[:].set_visible(False)
        axes.tick_params(axis="y", length=0)
        bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.01)
        bar.outline.set_visible(False)
        bar.set_label("probability", color=INK)


def _strips(axes: Any, steps: list[Step], when: Moments, labels: tuple[str, ...]) -> dict[str, Any]:
    """The labels over time: what was recognised, and over it what was done. Returns the colours that were needed."""
    strips = [("recognised", [step.label for step in steps])]
    if any(step.take.true for step in steps):
        strips.append(("true", [step.take.true or "" for step in steps]))
    rejected = {step.label for step in steps if step.prediction.label is None}
    others = sorted({label for _, strip in strips for label in strip} - {*labels, *rejected, ""})
    colours = dict(zip([*labels, *others], palette(len(labels) + len(others)), strict=True))
    colours |= dict.fromkeys(rejected, PALE)
    top = -0.5
    for word, strip in strips:
        top -= _STRIP + 0.15
        for start, width, label in when.bars(strip):
            if label:
                axes.broken_barh([(start, width)], (top, _STRIP), color=colours[label], linewidth=0)
        axes.annotate(word, (0, top + _STRIP / 2), xytext=(-6, 0), textcoords="offset points", ha="right",
                      va="center", fontsize=8, color=SOFT, annotation_clip=False)  # fmt: skip
    axes.set_ylim(len(labels) - 0.5, top - 0.2)
    seen = {label for _, strip in strips for label in strip}
    return {label: colour for label, colour in colours.items() if label in seen}


def _names(axes: Any, steps: list[Step], when: Moments) -> None:
    """A line where each recording's first window is drawn, and over the picture its name where there is room."""
    begins = [0, *(at for at, (a, b) in enumerate(itertools.pairwise(steps), 1) if a.take is not b.take)]
    if len(begins) == 1:
        return
    for at in begins:
        axes.axvline(when.starts[at], color=SOFT, linewidth=0.6)
    if len(begins) > _MOST_NAMES:
        return
    named = begins[:1]
    for at in begins[1:]:
        if when.starts[at] - when.starts[named[-1]] >= _ROOM * when.end:
            named.append(at)
    above = axes.secondary_xaxis("top")
    above.set_xticks([when.starts[at] for at in named], [name(steps[at].take.name) for at in named], fontsize=7,
                     color=INK, rotation=_SLANT, ha="left", rotation_mode="anchor")  # fmt: skip
    above.tick_params(length=0)
    above.spines[:].set_visible(False)
