"""What was taken for what: as a table, as JSON, and as a picture."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from primus_sdk.commands._cli import need
from primus_sdk.commands._picture import INK, confusion, drawing, title
from primus_sdk.commands._rich import console, styled
from primus_sdk.commands._scores import Scores

_LETTERS = string.ascii_uppercase + string.ascii_lowercase
_ROOMY = 60  # characters from which on columns stand apart
_LEAST = 40  # characters, which a table takes even where the terminal has fewer
_PLAIN_WIDTH = 100  # where the output is no terminal


def show(scores: Scores, of: str) -> None:
    """Print each label's figures and what its windows were taken for, then accuracy and macro-F1.

    A terminal that is too narrow for one table gets two, and the second only where it fits: no number is cut.
    """
    screen = console()
    letters = [_LETTERS[place] if place < len(_LETTERS) else str(place + 1) for place in range(len(scores.labels))]
    names = [f"{letter} {label}" for letter, label in zip(letters, scores.labels, strict=True)]
    taken = [
        [_count(int(count), right=row == column) for column, count in enumerate(counts)]
        for row, counts in enumerate(scores.confusion)
    ]
    whole = figures(screen, scores, "true", names, letters, taken)
    if not screen.is_terminal:
        screen.width = max(_PLAIN_WIDTH, _width(whole, screen))
    tables = [whole]
    if _width(whole, screen) > screen.width:
        beside = _table("true", letters, screen.width >= _ROOMY)
        for letter, counts in zip(letters, taken, strict=True):
            beside.add_row(letter, *counts)
        tables = [figures(screen, scores, "true", names), beside]
    for table in tables[:1] + [table for table in tables[1:] if _width(table, screen) <= screen.width]:
        screen.print(table)
    if len(tables) > 1 and _width(tables[1], screen) > screen.width:
        screen.print(styled("what was taken for what is too wide for this terminal; --json has it"))
    summary = styled(f"accuracy {scores.accuracy:.1%}, macro-F1 {scores.macro_f1:.3f}", "bold")
    summary += styled(f" over {scores.windows} windows {of} (chance: {scores.chance:.1%})")
    screen.print(summary, soft_wrap=True)


def figures(
    screen: Any,
    scores: Scores,
    of: str,
    names: Sequence[str],
    more: Sequence[str] = (),
    cells: Sequence[Sequence[Any]] = (),
) -> Any:
    """A rich table of each label's windows, recall, precision and F1, under `names`, and of `more` columns of cells.

    Where the screen, a rich console, has not the room, names are folded: numbers stay whole.
    """
    screen.width = max(screen.width, _LEAST)
    table = _table(of, ["windows", "recall", "precision", "F1", *more], screen.width >= _ROOMY)
    rows = zip(scores.recall, scores.precision, scores.f1, cells or [()] * len(names), strict=True)
    for name, count, (*shares, taken) in zip(names, scores.confusion.sum(axis=1), rows, strict=True):
        table.add_row(styled(name), str(count), *(f"{share:.2f}" for share in shares), *taken)
    return table


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


def draw(path: Path, scores: Scores, of: str) -> None:
    """Write the confusion matrix as a PNG.

    Raises:
        RuntimeUnavailableError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    size = max(4.5, 0.5 * len(scores.labels) + 2.5)
    share = scores.confusion / np.maximum(scores.confusion.sum(axis=1, keepdims=True), 1)
    with drawing(path, max(8, size + 1), size) as figure:
        axes = figure.subplots()
        confusion(figure, axes, share, scores.labels)
        figure.suptitle(
            f"{title(of)}\n{scores.accuracy:.1%} of {scores.windows} windows right, macro-F1 {scores.macro_f1:.2f}; "
            "share of each label's windows, %",
            x=0.01, ha="left", fontsize=9, color=INK,
        )  # fmt: skip


def _table(of: str, columns: Sequence[str], roomy: bool) -> Any:
    table = need("rich.table").Table(box=need("rich.box").SIMPLE_HEAD, padding=(0, int(roomy)))
    table.add_column(of, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _width(table: Any, screen: Any) -> int:
    """How wide a table is where there is room for all of it."""
    return int(need("rich.measure").Measurement.get(screen, screen.options.update(width=1 << 20), table).maximum)


def _count(count: int, right: bool) -> Any:
    return styled(str(count), "bold green" if right else "red") if count else styled(".", "dim")
