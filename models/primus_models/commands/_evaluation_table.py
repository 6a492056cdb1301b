"""The figures of an evaluation as tables for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from primus_models.evaluation.protocol import NONE
from primus_models.evaluation.results import Results, Score
from primus_models.evaluation.scores import Mean
from primus_sdk.commands._cli import need
from primus_sdk.commands._rich import console, styled

_PLAIN_WIDTH = 140  # where the output is no terminal
_CLEAR = 2.0  # standard errors from which on a difference is shown as one


def show(results: Results) -> None:
    """Print accuracy and macro F1 by shots, and how far the first candidate is from the others."""
    screen = console()
    if not screen.is_terminal:
        screen.width = _PLAIN_WIDTH
    protocol, data = results.protocol, results.data
    screen.print(
        styled(
            f"{data.source}: {len(data.users)} people, {sum(data.labels.values())} windows of {len(data.labels)} "
            f"labels; split {protocol['mode']}, {protocol['units']} units, "
            f"{protocol['tested_windows']:.0f} windows tested in each"
        ),
        soft_wrap=True,
    )
    _table(screen, results, "accuracy, %", lambda score: score.accuracy)
    _table(screen, results, "macro F1, %", lambda score: score.macro_f1)
    screen.print(styled(f"± standard error over {protocol['unit']}", "dim"), soft_wrap=True)
    _differences(screen, results)
    for entry in results.entries:
        if entry.warning:
            screen.print(styled(f"{entry.label}: {entry.warning}", "bold red"), soft_wrap=True)


def _table(screen: Any, results: Results, title: str, figure: Callable[[Score], Mean]) -> None:
    table = need("rich.table").Table(box=need("rich.box").SIMPLE_HEAD, padding=(0, 1))
    table.add_column(title, overflow="fold")
    for shots in results.shots:
        name = {NONE: "0 shots"}.get(shots, shots)
        table.add_column(name, justify="right", no_wrap=True)
    for entry in results.entries:
        cells = [_cell(figure(entry.scores[s])) if s in entry.scores else "" for s in results.shots]
        table.add_row(styled(entry.label), *cells)
    screen.print(table)


def _cell(mean: Mean) -> str:
    return f"{100 * mean.value:.1f}" + ("" if mean.error is None else f" ± {100 * mean.error:.1f}")


def _differences(screen: Any, results: Results) -> None:
    """The first candidate above each other one, in points of accuracy, unit by unit."""
    if len(results.entries) < 2:
        return
    first, *others = results.entries
    table = need("rich.table").Table(box=need("rich.box").SIMPLE_HEAD, padding=(0, 1))
    table.add_column(f"{first.label}, above", overflow="fold")
    shots = [name for name in results.shots if name in first.scores]
    for name in shots:
        table.add_column({NONE: "0 shots"}.get(name, name), justify="right", no_wrap=True)
    rows = 0
    for other in others:
        cells = []
        for name in shots:
            found = results.difference(first, other, name)
            cells.append(styled("") if found is None else _difference(found[0]))
        if any(cell.plain for cell in cells):
            table.add_row(styled(other.label), *cells)
            rows += 1
    if rows:
        screen.print(table)
        screen.print(styled("points of accuracy, paired: ± is of the difference in the same trials", "dim"))


def _difference(mean: Mean) -> Any:
    clear = mean.error is not None and abs(mean.value) > _CLEAR * mean.error
    text = f"{100 * mean.value:+.1f}" + ("" if mean.error is None else f" ± {100 * mean.error:.1f}")
    return styled(text, "bold" if clear else "")
