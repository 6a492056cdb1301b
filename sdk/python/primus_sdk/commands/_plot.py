"""The picture of a trial: what was recognised beside what was done, person by person, and what was taken for what."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from primus_sdk.commands._cli import need
from primus_sdk.commands._scores import Scores
from primus_sdk.commands._session import Step
from primus_sdk.errors import PrimusError
from primus_sdk.files import write_atomically

INK, SOFT = "#1f2430", "#6b7280"


def draw(path: Path, steps: list[Step], scores: Scores, hop: float, title: str, unseen: str) -> None:
    """Write a PNG with each person's timeline and the confusion matrix.

    Raises:
        RuntimeUnavailableError: matplotlib is not installed.
        OutputError: the file cannot be written.
        PrimusError: there is nothing to draw.
    """
    if not steps:
        raise PrimusError("there is no window to draw; are the recordings longer than 5 s?")
    need("matplotlib").use("Agg")
    figure_class = need("matplotlib.figure").Figure
    people = sorted({step.take.user or "" for step in steps}, key=lambda user: (len(user), user))
    height = max(5.4, 0.95 * len(people) + 2.6)
    figure = figure_class(figsize=(15, height), dpi=120, facecolor="white", layout="constrained")
    times, confusion = figure.subplots(1, 2, width_ratios=[1.55, 1])
    colours = dict(zip(scores.labels, palette(len(scores.labels)), strict=True))
    _timelines(times, steps, people, colours, hop / 60)
    _confusion(figure, confusion, scores)
    figure.suptitle(
        f"{title}\n{scores.accuracy:.1%} of {scores.windows} windows right on {unseen}"
        f"  (macro-F1 {scores.macro_f1:.2f}, chance {scores.chance:.1%})",
        fontsize=13, color=INK, fontweight="bold",
    )  # fmt: skip
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(path, picture.getvalue())


def palette(count: int) -> list[Any]:
    colormap = need("matplotlib").colormaps["tab20" if count > 10 else "tab10"]
    # tab20 pairs each hue's dark and light: all the dark ones first, so that neighbours differ.
    order = [*range(0, 20, 2), *range(1, 20, 2)] if count > 10 else list(range(10))
    return [colormap(order[index % len(order)]) for index in range(count)]


def _timelines(axes: Any, steps: list[Step], people: list[str], colours: dict[str, Any], minutes: float) -> None:
    for row, user in enumerate(people):
        theirs = [step for step in steps if step.take.user == user]
        right = sum(step.right for step in theirs) / len(theirs)
        for start, end, label in runs([step.take.true or "" for step in theirs]):
            axes.broken_barh(
                [(start * minutes, (end - start) * minutes)], (row - 0.36, 0.3), color=colours[label], linewidth=0
            )
        for start, end, label in runs([step.label for step in theirs]):
            axes.broken_barh(
                [(start * minutes, (end - start) * minutes)], (row, 0.36), color=colours[label], linewidth=0
            )
        axes.annotate(f"{right:.0%}", (len(theirs) * minutes, row), xytext=(5, 0), textcoords="offset points",
                      va="center", fontsize=10, color=INK)  # fmt: skip
    axes.set_yticks(range(len(people)), [f"user {user}\n" for user in people], fontsize=10, color=INK)
    for row in range(len(people)):
        for offset, text in ((-0.21, "true"), (0.18, "recognised")):
            axes.annotate(text, (0, row + offset), xytext=(-6, 0), textcoords="offset points", ha="right", va="center",
                          fontsize=7, color=SOFT, annotation_clip=False)  # fmt: skip
    axes.tick_params(axis="y", length=0, pad=52)
    axes.set_ylim(len(people) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("minutes streamed, one recording after the other", color=INK)
    axes.set_title("What was done, and what was recognised", loc="left", fontsize=11, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    patch = need("matplotlib.patches").Patch
    axes.legend(handles=[patch(color=colour, label=label) for label, colour in colours.items()], loc="upper center",
                bbox_to_anchor=(0.5, -0.7 / (0.95 * len(people) + 0.4)), ncols=5,
              frameon=False, fontsize=9)  # fmt: skip


def runs(labels: list[str]) -> list[tuple[int, int, str]]:
    """Start, end and label of each stretch of equal labels."""
    edges = [0, *(i for i in range(1, len(labels)) if labels[i] != labels[i - 1]), len(labels)]
    return [(start, end, labels[start]) for start, end in itertools.pairwise(edges)]


def _confusion(figure: Any, axes: Any, scores: Scores) -> None:
    share = scores.confusion / np.maximum(scores.confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(share >= 0.005), strict=True):
        value = share[row, column]
        axes.text(column, row, f"{value:.0%}".rstrip("%"), ha="center", va="center", fontsize=8,
                  color="white" if value > 0.55 else INK)  # fmt: skip
    places = range(len(scores.labels))
    axes.set_xticks(places, scores.labels, rotation=45, ha="right", fontsize=9, color=INK)
    axes.set_yticks(places, scores.labels, fontsize=9, color=INK)
    axes.set_xlabel("recognised as", color=INK)
    axes.set_ylabel("true", color=INK)
    axes.set_title("Share of each activity's windows, %", loc="left", fontsize=11, color=INK)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, shrink=0.6, format="%.1f").outline.set_visible(False)
