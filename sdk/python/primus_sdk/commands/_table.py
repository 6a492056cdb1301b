"""Rows of numbers from a CSV file or stdin, as they arrive."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from primus_sdk.errors import RecordingError

NAMES = ("t", "ax", "ay", "az", "gx", "gy", "gz")
NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_LONGEST_LINE = 1 << 16


def chosen(columns: str) -> list[int | str]:
    """Read `--columns`: the seven columns' names or numbers (from 1), in the order t, ax, ay, az, gx, gy, gz.

    Raises:
        RecordingError: not seven of them, or one twice.
    """
    names = [name.strip() for name in columns.split(",")]
    if len(names) != len(NAMES) or len(set(names)) != len(NAMES) or not all(names):
        raise RecordingError(f"--columns is {columns!r}; expected seven different ones, for {', '.join(NAMES)}")
    return [int(name) - 1 if name.isdecimal() and int(name) > 0 else name for name in names]


def read_rows(source: str, columns: list[int | str], time_unit: str) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Give each row's time in nanoseconds and its six values; "-" reads stdin, line by line as it comes.

    Times are read as decimal text: nanoseconds since 1970 do not fit a float.

    Raises:
        RecordingError: no such file, a column that is not there, or a field that is no number; names the line.
    """
    if source == "-":
        yield from _rows(sys.stdin.buffer, "stdin", columns, time_unit)
        return
    try:
        with Path(source).open("rb") as file:
            yield from _rows(file, source, columns, time_unit)
    except OSError as error:
        raise RecordingError(f"cannot read {source}: {error.strerror or error}") from error


def _rows(
    file: BinaryIO, name: str, columns: list[int | str], time_unit: str
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    lines = csv.reader(_lines(file, name))
    try:
        first = next(lines, None)
        if first is None:
            raise RecordingError(f"{name} is empty; expected a CSV with the columns {', '.join(map(str, columns))}")
        positions, is_header = _positions(first, columns, name)
        for row in lines if is_header else itertools.chain([first], lines):
            if row:
                yield _row(row, positions, time_unit, f"{name}, line {lines.line_num}")
    except csv.Error as error:
        raise RecordingError(f"{name}, line {lines.line_num}: {error}") from error


def _lines(file: BinaryIO, name: str) -> Iterator[str]:
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE or b"\0" in line:
            raise RecordingError(f"{name} is no CSV file: it has a line of 64 KB or more, or zero bytes")
        yield line.decode("utf-8-sig", "replace")


def _positions(first: list[str], columns: list[int | str], name: str) -> tuple[list[int], bool]:
    header = [field.strip() for field in first]
    missing = [column for column in columns if isinstance(column, str) and column not in header]
    if missing:
        raise RecordingError(
            f"{name} has no column {missing[0]!r}; its first line is {','.join(header)[:80]!r}; "
            "name the columns for t, ax, ay, az, gx, gy, gz with --columns, or count them from 1"
        )
    positions = [header.index(column) if isinstance(column, str) else column for column in columns]
    if max(positions) >= len(header):
        raise RecordingError(f"{name} has {len(header)} columns, --columns asks for number {max(positions) + 1}")
    return positions, any(isinstance(column, str) for column in columns) or not _is_number(header[positions[0]])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _row(row: list[str], positions: list[int], unit: str, where: str) -> tuple[int, NDArray[np.float64]]:
    try:
        fields = [row[position].strip() for position in positions]
        return _nanoseconds(fields[0], unit), np.array([float(field) for field in fields[1:]])
    except (IndexError, ValueError, OverflowError) as error:
        raise RecordingError(f"{where}: expected numbers in all seven columns, found {','.join(row)[:80]!r}") from error


def _nanoseconds(text: str, unit: str) -> int:
    whole, _, fraction = text.partition(".")
    scale = NANOSECONDS[unit]
    if not (whole.lstrip("+-").isdecimal() and (not fraction or fraction.isdecimal())):
        return round(float(text) * scale)  # 1.6e9 and the like
    digits = int(fraction[:12].ljust(12, "0")) * scale // 10**12
    return int(whole) * scale + (-digits if whole.startswith("-") else digits)
