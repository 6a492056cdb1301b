"""What is shown while a source streams that no trial is made of: a live table in a terminal, plain lines, or JSON."""

from __future__ import annotations

import json
from collections import Counter, deque
from types import TracebackType
from typing import Any, Protocol, Self

from primus_sdk.commands._cli import click, need
from primus_sdk.commands._record import record, remark
from primus_sdk.commands._session import Step, Take

_SHOWN = 12  # windows in the table
_BAR = 20  # characters


class Display(Protocol):
    """What streaming reports to."""

    def open(self, take: Take) -> None: ...
    def step(self, step: Step) -> None: ...
    def close(self, take: Take) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def display(as_json: bool) -> Display:
    """The display that was asked for, or that the output can show."""
    if as_json:
        return JsonDisplay()
    console = need("rich.console").Console(highlight=False)
    return _Table(console) if console.is_terminal else _Lines()


class JsonDisplay:
    """One JSON object a window; see `_record`."""

    def open(self, take: Take) -> None:
        """Nothing to say: each window names its recording."""

    def step(self, step: Step) -> None:
        click.echo(json.dumps(record(step)))

    def close(self, take: Take) -> None:
        """Nothing to say."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to undo."""


class _Summed:
    """What all of a take's windows were, in a line."""

    def __init__(self) -> None:
        self.labels: Counter[str] = Counter()
        self.right = 0

    def add(self, step: Step) -> None:
        self.labels[step.label] += 1
        self.right += step.right

    def line(self, take: Take) -> str:
        windows = self.labels.total()
        shares = ", ".join(f"{label} {count / max(windows, 1):.0%}" for label, count in self.labels.most_common(4))
        truth = f"; {self.right / max(windows, 1):.0%} right" if take.true else ""
        return f"{take.name}: {windows} windows: {shares or 'none'}{truth}"


class _Lines(JsonDisplay):
    """One plain line a window, for files and pipes."""

    def open(self, take: Take) -> None:
        self._summed = _Summed()

    def step(self, step: Step) -> None:
        self._summed.add(step)
        said = step.prediction
        click.echo(f"{step.start_s:8.2f} s  {step.label:<24} {said.probability:4.0%}  {remark(step)}".rstrip())

    def close(self, take: Take) -> None:
        click.echo(self._summed.line(take))


class _Table:
    """The last windows and the likeliest label's probability, drawn anew as they come."""

    def __init__(self, console: Any) -> None:
        self._console = console
        self._live = need("rich.live").Live(console=console, refresh_per_second=8, transient=True)
        self._steps: deque[Step] = deque(maxlen=_SHOWN)
        self._summed = _Summed()

    def open(self, take: Take) -> None:
        self._steps.clear()
        self._summed = _Summed()

    def step(self, step: Step) -> None:
        self._steps.append(step)
        self._summed.add(step)
        self._live.update(self._drawn())

    def close(self, take: Take) -> None:
        text = need("rich.text").Text
        self._live.update(text(""))
        if self._steps and take.true is None:
            self._console.print(self._drawn())
        self._console.print(text(self._summed.line(take)))

    def _drawn(self) -> Any:
        newest = self._steps[-1]
        text = need("rich.text").Text
        table = need("rich.table").Table(box=need("rich.box").SIMPLE_HEAD, title=text(newest.take.name))
        for name, justify in (("s", "right"), ("activity", "left"), ("", "left"), ("or else", "left"), ("", "left")):
            table.add_column(name, justify=justify)
        for step in self._steps:
            said = step.prediction
            bar = "█" * round(said.probability * _BAR)
            order = sorted(said.probabilities.items(), key=lambda item: -item[1])
            second = f"{order[1][0]} {order[1][1]:.0%}" if len(order) > 1 else ""
            style = "dim" if said.label is None or step.recognition.held else "bold" if step is newest else ""
            cells = (f"{step.start_s:.1f}", step.label, f"{bar:<{_BAR}} {said.probability:4.0%}", second, remark(step))
            table.add_row(*(text(cell) for cell in cells), style=style)
        return table

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)
