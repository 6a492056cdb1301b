"""Progress of an evaluation: a bar in a terminal, elsewhere a line on stderr as each part of the work begins."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from primus_models.evaluation.measure import Report
from primus_sdk.commands._cli import echo, need
from primus_sdk.commands._rich import console


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Report]:
    """What `measure` reports to; nothing is shown if `quiet`."""
    if quiet or sys.stderr is None:
        yield lambda what, done, total: None
    elif sys.stderr.isatty():
        rich = need("rich.progress")
        columns = (rich.TextColumn("{task.description}", markup=False), rich.BarColumn(), rich.MofNCompleteColumn(),
                   rich.TimeRemainingColumn())  # fmt: skip
        with rich.Progress(*columns, console=console(stderr=True), transient=True) as bar:
            tasks: dict[str, int] = {}

            def report(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=total)
                bar.update(tasks[what], completed=done)

            yield report
    else:
        begun: set[str] = set()

        def say(what: str, done: int, total: int) -> None:
            if what not in begun:
                begun.add(what)
                echo(f"{what} ({total} steps) ...", err=True)

        yield say
