"""Progress of an evaluation: a bar in a terminal; elsewhere a line on stderr as each part begins, and each minute."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

from primus_models.evaluation.measure import Report
from primus_models.evaluation.standard import TRAINING
from primus_sdk.commands._cli import echo, need
from primus_sdk.commands._rich import console

_EVERY_S = 60.0


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
            tasks: dict[str, Any] = {}

            def report(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=total)
                # What is done stays to be seen, but for trainings, of which there are many.
                visible = done < total or not what.startswith(TRAINING)
                bar.update(tasks[what], completed=done, total=total, visible=visible)

            yield report
    else:
        begun: set[str] = set()
        last = time.monotonic()

        def say(what: str, done: int, total: int) -> None:
            nonlocal last
            if what not in begun and not what.startswith(TRAINING):
                begun.add(what)
                echo(f"{what} ({total} steps) ...", err=True)
            elif time.monotonic() - last >= _EVERY_S:
                echo(f"{what}: {done} of {total}", err=True)
            else:
                return
            last = time.monotonic()

        yield say
