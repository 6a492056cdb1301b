"""What is shown while a source streams that no trial is made of: a live table in a terminal, plain lines, or JSON."""

from __future__ import annotations

import json
from collections import Counter, deque
from types import TracebackType
from typing import Any, Protocol, Self

from primus_sdk.commands._cli import echo, need
from primus_sdk.commands._record import record, remark
from primus_sdk.commands._rich import console, styled
from primus_sdk.commands._session import Step, Take
from primus_sdk.commands._text import cut

_SHOWN = 12  # windows in the table
_BAR, _LEAST_BAR = 20, 6  # characters
_NAME = 24  # characters of a label
_REJECTED = 40  # characters of what was rejected, with its label
_NEEDS = 22  # characters of the columns s and %, and of what is around them and the activity
_NEEDED = 3  # columns that are shown however narrow the terminal
_BESIDE = 3  # characters around a column
_HEADS = {"s": "s", "activity": "activity", "or else": "or else"}


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
    screen = console()
    return _Table(screen) if screen.is_terminal else _Lines()


class JsonDisplay:
    """One JSON object a window; see `_record`."""

    def open(self, take: Take) -> None:
        """Nothing to say: each window names its recording."""

    def step(self, step: Step) -> None:
        echo(json.dumps(record(step)))

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
        rejected = step.prediction.label is None
        said = f"{step.label} {step.sure}" if rejected else f"{step.label:<24} {step.sure:>4}"
        echo(f"{step.start_s:8.2f} s  {said:<29}  {remark(step)}".rstrip())

    def close(self, take: Take) -> None:
        echo(self._summed.line(take))


class _Table:
    """The last windows and the likeliest label's probability, drawn anew as they come, as wide as the terminal is."""

    def __init__(self, screen: Any) -> None:
        self._console = screen
        self._live = need("rich.live").Live(console=screen, refresh_per_second=8, transient=True)
        self._name = max(4, min(_NAME, screen.width - _NEEDS))
        self._rejected = max(4, min(_REJECTED, screen.width - _NEEDS))
        self._block = "#" if screen.options.ascii_only else "█"
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
        self._live.update(styled(""))
        if self._steps and take.true is None:
            self._console.print(self._drawn())
        self._console.print(styled(self._summed.line(take)))

    def _drawn(self) -> Any:
        newest = self._steps[-1]
        rows = [self._cells(step) for step in self._steps]
        names, bar = self._fitting(rows)
        title = styled(newest.take.name, no_wrap=True, overflow="ellipsis")
        table = need("rich.table").Table(box=need("rich.box").SIMPLE_HEAD, title=title)
        for name in names:
            table.add_column(_HEADS.get(name, ""), justify="right" if name in ("s", "%") else "left", no_wrap=True)
        for step, cells in zip(self._steps, rows, strict=True):
            said = step.prediction
            cells["bar"] = f"{self._block * round(said.probability * bar):<{bar}}"
            style = "dim" if said.label is None or step.recognition.held else "bold" if step is newest else ""
            table.add_row(*(styled(cells[name]) for name in names), style=style)
        return table

    def _fitting(self, rows: list[dict[str, str]]) -> tuple[list[str], int]:
        """The columns that fit, what is needed most first, and the width of the bar, which takes what is left."""
        cells = need("rich.cells").cell_len
        widths = {name: max(cells(row[name]) for row in rows) for name in rows[0]}
        widths = {name: width and max(width, len(_HEADS.get(name, ""))) for name, width in widths.items()}
        names: list[str] = []
        left = self._console.width - 1
        for name, width in (widths | {"bar": _LEAST_BAR}).items():
            if len(names) < _NEEDED or 0 < width <= left - _BESIDE:
                names, left = [*names, name], left - width - _BESIDE
        return names, max(_LEAST_BAR, min(_BAR, _LEAST_BAR + left))

    def _cells(self, step: Step) -> dict[str, str]:
        said = step.prediction
        order = sorted(said.probabilities.items(), key=lambda item: -item[1])
        return {
            "s": f"{step.start_s:.1f}",
            "activity": cut(step.label, self._name) if said.label is not None else self._of_rejected(step),
            "%": step.sure if said.label is not None else "",
            "bar": "",
            "or else": f"{cut(order[1][0], self._name)} {order[1][1]:.0%}" if len(order) > 1 else "",
            "remark": remark(step),
        }

    def _of_rejected(self, step: Step) -> str:
        """That a window was rejected, and beside it what and how surely: the probability is not that of its label."""
        words = f"{step.label} {step.sure}"
        if len(words) > self._rejected:
            share = f" {step.prediction.probability:.0%})"
            room = self._rejected - len(f"{step.label} (") - len(share)
            words = f"{step.label} ({cut(step.prediction.likeliest, room)}{share}" if room > 1 else step.label
        return cut(words, self._rejected)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)
