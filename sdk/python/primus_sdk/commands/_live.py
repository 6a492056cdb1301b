"""What a trial shows while it runs: a live table in a terminal, plain lines elsewhere, or JSON lines."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from primus_sdk.commands._cli import echo, need
from primus_sdk.commands._confusion import figures
from primus_sdk.commands._record import record
from primus_sdk.commands._rich import console, styled
from primus_sdk.commands._scores import Scores
from primus_sdk.commands._session import Step, Take
from primus_sdk.commands._text import cut, people

_COUNTS = 16  # characters of a recording's line behind its timeline: " right/windows share"
_PLAIN_WIDTH = 100  # where the output is no terminal


@dataclass(frozen=True)
class Trial:
    """What is about to be streamed: the people calibrated on and streamed, by name, and the latter in words."""

    dataset: str
    runtime: str
    known: Sequence[str]
    unseen: Sequence[str]
    whom: str
    shots: int


class View(Protocol):
    """What a trial reports to."""

    def begin(self, trial: Trial) -> None: ...
    def open(self, take: Take) -> None: ...
    def step(self, step: Step) -> None: ...
    def close(self) -> None: ...
    def summary(self, scores: Scores) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def view(as_json: bool, labels: Sequence[str]) -> View:
    """The view that was asked for."""
    return _Lines() if as_json else _Timelines(labels)


class _Lines:
    """One JSON object a line: `{"event": "begin" | "window" | "summary", ...}`; see `_record`."""

    def begin(self, trial: Trial) -> None:
        who = {"calibrated_on": list(trial.known), "streamed": list(trial.unseen), "unseen": trial.whom}
        self._say("begin", {"dataset": trial.dataset, "runtime": trial.runtime, **who, "shots": trial.shots})

    def open(self, take: Take) -> None:
        """Nothing to say: each window names its recording."""

    def step(self, step: Step) -> None:
        self._say("window", record(step))

    def close(self) -> None:
        """Nothing to say."""

    def summary(self, scores: Scores) -> None:
        f1 = dict(zip(scores.labels, (round(float(value), 4) for value in scores.f1), strict=True))
        figures = {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1, "chance": scores.chance}
        rounded = {name: round(value, 4) for name, value in figures.items()}
        self._say("summary", {"windows": scores.windows, **rounded, "f1": f1})

    def _say(self, event: str, fields: dict[str, Any]) -> None:
        echo(json.dumps({"event": event, **fields}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to undo."""


class _Timelines:
    """A line for each recording, one letter for each moment: green where it was recognised, red where not."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._letters = dict(zip(labels, string.ascii_uppercase + string.ascii_lowercase, strict=False))
        self._console = console()
        if not self._console.is_terminal:
            self._console.width = _PLAIN_WIDTH
        self._head = max(12, min(34, self._console.width * 2 // 5))
        self._width = max(4, min(60, self._console.width - self._head - _COUNTS))
        self._live = need("rich.live").Live(console=self._console, refresh_per_second=8, transient=True)
        self._take: Take | None = None
        self._whom = ""
        self._steps: list[Step] = []

    def begin(self, trial: Trial) -> None:
        begin = styled(trial.dataset, "bold") + styled(
            f" on {trial.runtime}: calibrated on {trial.shots} windows of {people(len(trial.known))}, now streaming "
            f"{trial.whom} ({', '.join(trial.unseen)})"
        )
        self._console.print(begin)
        self._whom = trial.whom
        names = [styled(letter, "bold") + styled(f" {label}") for label, letter in self._letters.items()]
        self._console.print(styled("  ").join(names))
        self._console.print()

    def open(self, take: Take) -> None:
        self._take, self._steps = take, []

    def step(self, step: Step) -> None:
        self._steps.append(step)
        self._live.update(self._line() + styled(f"   now: {step.label} {step.sure}", "bold"))

    def close(self) -> None:
        if self._steps:
            self._live.update(styled(""))
            self._console.print(self._line())

    def _line(self) -> Any:
        assert self._take is not None
        head = cut(f"user {self._take.user:>2}  {self._take.true}", self._head - 1)
        line = styled(f"{head:<{self._head}}", no_wrap=True, overflow="ellipsis")
        count = len(self._steps)
        shown = [self._steps[i * count // min(count, self._width)] for i in range(min(count, self._width))]
        for step in shown:
            line.append(self._letters.get(step.label, "-"), style="green" if step.right else "bold red")
        right = sum(step.right for step in self._steps)
        line.append(" " * (self._width - len(shown)) + f" {right:4d}/{count:<4d} {right / count:4.0%}")
        return line

    def summary(self, scores: Scores) -> None:
        self._console.print(figures(self._console, scores, "activity", scores.labels))
        accuracy = styled(f"window accuracy {scores.accuracy:.1%}, macro-F1 {scores.macro_f1:.3f}", "bold")
        self._console.print(
            accuracy + styled(f" over {scores.windows} windows of {self._whom} (chance: {scores.chance:.1%})")
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)
