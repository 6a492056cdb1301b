"""Rows of numbers from stdin, as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from primus_sdk.errors import RecordingError
from primus_sdk.recordings import csv_table
from primus_sdk.streaming.stream import Push


def pushes(
    file: BinaryIO, name: str, columns: tuple[int | str, ...], time_unit: str, say: Callable[[str], None]
) -> Iterator[Push]:
    """Give each row of a CSV as it comes: its time in nanoseconds, read to the last digit, and its six values.

    A last row that is cut short is left out, as `csv_table.read` does, and said.

    Raises:
        RecordingError: nothing comes, a column is not there, or a field is no number; names the line.
    """
    lines = csv_table.lines_of(file, name)
    first = next(lines, None)
    if first is None:
        raise RecordingError(f"{name} is empty; expected a CSV with the columns {', '.join(map(str, columns))}")
    header = csv_table.fields(first, f"{name}, line 1")
    places, is_header = csv_table.positions(header, columns, name)
    number = 1
    if not is_header:
        yield _push(header, places, time_unit, f"{name}, line 1")
    for line in lines:
        number += 1
        if line.strip():
            where = f"{name}, line {number}"
            try:
                push = _push(csv_table.fields(line, where), places, time_unit, where)
            except RecordingError:
                if csv_table.is_cut_short(line):
                    say(f"{name}: {csv_table.CUT_SHORT}")
                    return
                raise
            yield push


def _push(fields: list[str], places: list[int], time_unit: str, where: str) -> Push:
    time, values = csv_table.row(fields, places, time_unit, where)
    return "both", [time], [values]
