"""How far preparing has come, for people: a bar in a terminal, elsewhere a line for each stretch of work and minute."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from primus_sdk.commands._cli import echo, need
from primus_sdk.commands._rich import console
from primus_sdk.commands._text import cut

_EVERY_S = 60.0


class Told:
    """A `primus_models.preparation.mapping.Report` on stderr; only what `say` says if `quiet`."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._bar, self._task = quiet, None, None
        self._what, self._total, self._done, self._last = "", 0, 0, 0.0

    def __enter__(self) -> Told:
        if not self._quiet and sys.stderr is not None and sys.stderr.isatty():
            rich: Any = need("rich.progress")
            columns = (
                rich.TextColumn("{task.description}", markup=False), rich.BarColumn(), rich.MofNCompleteColumn(),
                rich.TimeRemainingColumn(),
            )  # fmt: skip
            bar = rich.Progress(*columns, console=console(stderr=True), transient=True)
            bar.start()
            self._bar = bar
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, what: str, total: int, done: int) -> None:
        """See `Report.begin`."""
        self._what, self._total, self._done, self._last = what, total, done, time.monotonic()
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(cut(what, 60), total=total, completed=done)
        elif not self._quiet and total > 1:
            echo(f"{what}: {done} of {total} done before", err=True)

    def step(self) -> None:
        """See `Report.step`."""
        self._done += 1
        if self._bar is not None:
            self._bar.advance(self._task)
        elif not self._quiet and time.monotonic() - self._last > _EVERY_S:
            self._last = time.monotonic()
            echo(f"{self._what}: {self._done} of {self._total}", err=True)

    def say(self, line: str) -> None:
        """See `Report.say`."""
        if self._bar is not None:
            self._bar.console.print(cut(line, 2000))
        else:
            echo(line, err=True)
