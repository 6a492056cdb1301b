"""The picture of what streamed outside of a trial: the probability of each label over time, and the label above it."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from primus_sdk.commands._cli import need
from primus_sdk.commands._plot import INK, SOFT, palette, runs
from primus_sdk.commands._session import NONE, Step
from primus_sdk.errors import PrimusError
from primus_sdk.files import write_atomically

_STRIP = 0.42  # height of a strip of labels, where a label's row is 1
_MOST_NAMES = 12  # recordings that are named along the picture


def draw(path: Path, steps: list[Step], hop: float, title: str) -> None:
    """Write a PNG: minutes streamed to the right; true labels, where known, over recognised ones, over probabilities.

    Raises:
        RuntimeUnavailableError: matplotlib is not installed.
        OutputError: the file cannot be written.
        PrimusError: there is nothing to draw.
    """
    if not steps:
        raise PrimusError("there is no window to draw; was there as much as 5 s?")
    need("matplotlib").use("Agg")
    labels = steps[0].prediction.labels
    rows = np.stack([step.prediction.values for step in steps], axis=1)
    minutes = hop / 60
    figure = need("matplotlib.figure").Figure(
        figsize=(15, max(3.6, 0.42 * len(labels) + 2.4)), dpi=120, facecolor="white", layout="constrained"
    )
    axes = figure.subplots()
    image = axes.imshow(rows, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest",
                        extent=(0, len(steps) * minutes, len(labels) - 0.5, -0.5))  # fmt: skip
    axes.set_yticks(range(len(labels)), labels, fontsize=9, color=INK)
    _strips(axes, steps, minutes, labels)
    _names(axes, steps, minutes)
    axes.set_xlabel("minutes streamed", color=INK)
    axes.set_title(title, loc="left", fontsize=12, color=INK, fontweight="bold")
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="y", length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, format="%.1f", pad=0.01)
    bar.outline.set_visible(False)
    bar.set_label("probability", color=INK)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(path, picture.getvalue())


def _strips(axes: Any, steps: list[Step], minutes: float, labels: tuple[str, ...]) -> None:
    """The labels over time: what was recognised, and over it what was done."""
    strips = [("recognised", [step.label for step in steps])]
    if any(step.take.true for step in steps):
        strips.append(("true", [step.take.true or "" for step in steps]))
    others = sorted({label for _, strip in strips for label in strip} - {*labels, NONE, ""})
    colours = dict(zip([*labels, *others], palette(len(labels) + len(others)), strict=True))
    top = -0.5
    for name, strip in strips:
        top -= _STRIP + 0.15
        for start, end, label in runs(strip):
            colour = colours.get(label, "#e5e7eb")
            axes.broken_barh([(start * minutes, (end - start) * minutes)], (top, _STRIP), color=colour, linewidth=0)
        axes.annotate(name, (0, top + _STRIP / 2), xytext=(-6, 0), textcoords="offset points", ha="right",
                      va="center", fontsize=8, color=SOFT, annotation_clip=False)  # fmt: skip
    axes.set_ylim(len(labels) - 0.5, top - 0.2)
    seen = [label for label in colours if any(label in strip for _, strip in strips)]
    patch = need("matplotlib.patches").Patch
    handles = [patch(color=colours[label], label=label) for label in seen]
    if any(NONE in strip for _, strip in strips):
        handles.append(patch(color="#e5e7eb", label=NONE))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=8, frameon=False, fontsize=8)


def _names(axes: Any, steps: list[Step], minutes: float) -> None:
    """A line where each recording begins, and its name where there is room."""
    starts = [0, *(at for at, (a, b) in enumerate(itertools.pairwise(steps), 1) if a.take is not b.take)]
    if len(starts) == 1:
        return
    for at in starts:
        axes.axvline(at * minutes, color=SOFT, linewidth=0.6)
        if len(starts) <= _MOST_NAMES:
            axes.annotate(steps[at].take.name, (at * minutes, 0), xycoords=("data", "axes fraction"), xytext=(3, 3),
                          textcoords="offset points", fontsize=7, color=SOFT, rotation=90)  # fmt: skip
