"""What was taken for what: as a table, as JSON, and as a picture."""

from __future__ import annotations

import io
import string
from pathlib import Path
from typing import Any

import numpy as np

from primus_sdk.commands._cli import need
from primus_sdk.commands._scores import Scores
from primus_sdk.files import write_atomically

_LETTERS = string.ascii_uppercase + string.ascii_lowercase
_PLAIN_WIDTH = 100  # where the output is no terminal
_INK = "#1f2430"


def show(scores: Scores, of: str) -> None:
    """Print each label's figures and what its windows were taken for, then accuracy and macro-F1."""
    console = need("rich.console").Console(highlight=False)
    if not console.is_terminal:
        widest = max(map(len, scores.labels), default=0) + max(map(len, map(str, scores.confusion.ravel())), default=0)
        console.width = max(_PLAIN_WIDTH, widest + 60 + 7 * len(scores.labels))
    table = need("rich.table").Table(box=need("rich.box").SIMPLE_HEAD)
    letters = [_LETTERS[place] if place < len(_LETTERS) else str(place + 1) for place in range(len(scores.labels))]
    table.add_column("true", no_wrap=True)
    for name in ("windows", "recall", "precision", "F1", *letters):
        table.add_column(name, justify="right", no_wrap=True)
    counts = scores.confusion.sum(axis=1)
    for place, (letter, label) in enumerate(zip(letters, scores.labels, strict=True)):
        figures = [f"{values[place]:.2f}" for values in (scores.recall, scores.precision, scores.f1)]
        taken = [_count(int(count), right=place == other) for other, count in enumerate(scores.confusion[place])]
        table.add_row(need("rich.markup").escape(f"{letter} {label}"), str(counts[place]), *figures, *taken)
    console.print(table)
    console.print(
        f"[bold]accuracy {scores.accuracy:.1%}, macro-F1 {scores.macro_f1:.3f}[/bold] over {scores.windows} windows "
        f"{of} (chance: {scores.chance:.1%})",
        soft_wrap=True,
    )


def as_json(scores: Scores) -> dict[str, Any]:
    """The figures, for JSON; confusions are rows by true label, columns by what was recognised."""
    per_label = {
        label: {"recall": round(float(recall), 4), "precision": round(float(precision), 4), "f1": round(float(f1), 4)}
        for label, recall, precision, f1 in zip(scores.labels, scores.recall, scores.precision, scores.f1, strict=True)
    }
    return {
        "windows": scores.windows,
        "accuracy": round(scores.accuracy, 4),
        "macro_f1": round(scores.macro_f1, 4),
        "chance": round(scores.chance, 4),
        "labels": list(scores.labels),
        "per_label": per_label,
        "confusions": scores.confusion.tolist(),
    }


def draw(path: Path, scores: Scores, title: str) -> None:
    """Write the confusion matrix as a PNG.

    Raises:
        RuntimeUnavailableError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    need("matplotlib").use("Agg")
    size = max(4.5, 0.5 * len(scores.labels) + 2.5)
    figure = need("matplotlib.figure").Figure(
        figsize=(size + 1, size), dpi=120, facecolor="white", layout="constrained"
    )
    axes = figure.subplots()
    share = scores.confusion / np.maximum(scores.confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(share >= 0.005), strict=True):
        colour = "white" if share[row, column] > 0.55 else _INK
        axes.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center", fontsize=8, color=colour)
    places = range(len(scores.labels))
    axes.set_xticks(places, scores.labels, rotation=45, ha="right", fontsize=9, color=_INK)
    axes.set_yticks(places, scores.labels, fontsize=9, color=_INK)
    axes.set_xlabel("recognised as", color=_INK)
    axes.set_ylabel("true", color=_INK)
    axes.set_title(
        f"{title}\n{scores.accuracy:.1%} of {scores.windows} windows right, macro-F1 {scores.macro_f1:.2f}; "
        "share of each label's windows, %",
        loc="left", fontsize=9, color=_INK,
    )  # fmt: skip
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, shrink=0.6, format="%.1f").outline.set_visible(False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(path, picture.getvalue())


def _count(count: int, right: bool) -> str:
    if not count:
        return "[dim].[/dim]"
    return f"[bold green]{count}[/bold green]" if right else f"[red]{count}[/red]"
