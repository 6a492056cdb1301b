"""The picture of a trial: what was recognised beside what was done, person by person, and what was taken for what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from primus_sdk.commands._moments import Moments, axis_words, moments
from primus_sdk.commands._picture import INK, SOFT, confusion, drawing, legend, name, palette, title
from primus_sdk.commands._scores import Scores
from primus_sdk.commands._session import Step
from primus_sdk.errors import PrimusError


def draw(path: Path, steps: list[Step], scores: Scores, hop: float, of: str, unseen: str) -> None:
    """Write a PNG with each person's timeline and the confusion matrix.

    Raises:
        RuntimeUnavailableError: matplotlib is not installed.
        OutputError: the file cannot be written.
        PrimusError: there is nothing to draw.
    """
    if not steps:
        raise PrimusError("there is no window to draw; are the recordings longer than 5 s?")
    people = sorted({step.take.user or "" for step in steps}, key=lambda user: (len(user), user))
    colours = dict(zip(scores.labels, palette(len(scores.labels)), strict=True))
    share = scores.confusion / np.maximum(scores.confusion.sum(axis=1, keepdims=True), 1)
    with drawing(path, 15, max(5.4, 0.95 * len(people) + 2.6)) as figure:
        times, matrix = figure.subplots(1, 2, width_ratios=[1.55, 1])
        _timelines(times, steps, people, colours, hop)
        confusion(figure, matrix, share, scores.labels)
        matrix.set_title("Share of each activity's windows, %", loc="left", fontsize=11, color=INK)
        legend(figure, colours)
        figure.suptitle(
            f"{title(of)}\n{scores.accuracy:.1%} of {scores.windows} windows right on {unseen}"
            f"  (macro-F1 {scores.macro_f1:.2f}, chance {scores.chance:.1%})",
            fontsize=13, color=INK, fontweight="bold",
        )  # fmt: skip


def _timelines(axes: Any, steps: list[Step], people: list[str], colours: dict[str, Any], hop: float) -> None:
    by_user = {user: [step for step in steps if step.take.user == user] for user in people}
    longest = max((moments(theirs, hop) for theirs in by_user.values()), key=lambda laid: laid.unit == "minutes")
    for row, theirs in enumerate(by_user.values()):
        when = moments(theirs, hop, longest.unit)
        _bars(axes, when, [step.take.true or "" for step in theirs], (row - 0.36, 0.3), colours)
        _bars(axes, when, [step.label for step in theirs], (row, 0.36), colours)
        right = sum(step.right for step in theirs) / len(theirs)
        axes.annotate(f"{right:.0%}", (when.end, row), xytext=(5, 0), textcoords="offset points",
                      va="center", fontsize=10, color=INK)  # fmt: skip
        for offset, text in ((-0.21, "true"), (0.18, "recognised")):
            axes.annotate(text, (0, row + offset), xytext=(-6, 0), textcoords="offset points", ha="right", va="center",
                          fontsize=7, color=SOFT, annotation_clip=False)  # fmt: skip
    axes.set_yticks(range(len(people)), [f"user {name(user)}\n" for user in people], fontsize=10, color=INK)
    axes.tick_params(axis="y", length=0, pad=52)
    axes.set_ylim(len(people) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{axis_words(longest, hop)}\none recording after the other", color=INK)
    axes.set_title("What was done, and what was recognised", loc="left", fontsize=11, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _bars(axes: Any, when: Moments, labels: list[str], rows: tuple[float, float], colours: dict[str, Any]) -> None:
    for start, width, label in when.bars(labels):
        axes.broken_barh([(start, width)], rows, color=colours[label], linewidth=0)
