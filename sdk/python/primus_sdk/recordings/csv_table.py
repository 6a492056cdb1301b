"""One table of times and values out of a CSV file, whole and exact, as an export or a person's own logger writes it.

A byte order mark, CRLF, quotes, blank lines and further columns are no matter. Times are read as decimal text:
nanoseconds since 1970 do not fit a float. A last row without a line end may be half a row, so it is left out where it
cannot be read; so is, counted, any row with an empty, NaN or infinite field (NA, N/A, null and None are as empty). Any
other row that is no row of numbers is an error that names its line.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from primus_sdk.errors import RecordingError

NAMES = ("t", "ax", "ay", "az", "gx", "gy", "gz")
"""The columns of a six-axis table: time, accelerometer, gyroscope."""
NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Each time unit in nanoseconds."""

CUT_SHORT = "the last row left out: it is cut short"
"""What is said of a last row that is half a row."""

_LONGEST_LINE = 1 << 16
_BLOCK = 1 << 14  # rows parsed at once
_LONGEST_TIME = 40  # characters
_EMPTY = frozenset({"", "na", "n/a", "null", "none"})  # in any case
_NO_TIME = _EMPTY | {"nan", "inf", "-inf"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_LATEST_NS = 1 << 62
_Part: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64], bool]  # times, values, whether the last row was cut


class _NoTimeError(ValueError):
    """A number that is no time in the unit that was declared."""


@dataclass(frozen=True, eq=False)
class Table:
    """What a CSV file holds.

    Attributes:
        timestamps_ns: int64 (n,), in the file's order.
        values: float64 (n, columns but the time's), finite.
        left_out: rows with an empty, NaN or infinite field.
        cut_short: the last row was half a row and is left out.
    """

    timestamps_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    left_out: int
    cut_short: bool


def chosen(columns: str | Sequence[str | int]) -> list[int | str]:
    """Read a choice of columns: names or numbers (from 1) of t, ax, ay, az, gx, gy, gz, in this order.

    Raises:
        RecordingError: not seven of them, or one twice.
    """
    names = [str(name).strip() for name in (columns.split(",") if isinstance(columns, str) else columns)]
    if "0" in names:
        raise RecordingError(f"the columns are {columns!r:.200}; their numbers start at 1, none comes twice")
    if len(names) != len(NAMES) or len(set(names)) != len(NAMES) or not all(names):
        raise RecordingError(f"the columns are {columns!r:.200}; expected seven different ones, for {', '.join(NAMES)}")
    return [int(name) - 1 if name.isascii() and name.isdecimal() and int(name[:9]) > 0 else name for name in names]


def read(file: BinaryIO, name: str, columns: Sequence[int | str], time_unit: str) -> Table:
    """Read a CSV's chosen columns, by name or by position from 0; the first of them is the time.

    Raises:
        RecordingError: no header, a column that is not there, or a row that cannot be read; names the file and line.
    """
    lines = lines_of(file, name)
    first = next(lines, None)
    if first is None:
        raise RecordingError(f"{name} is empty; expected a CSV with the columns {', '.join(map(str, columns))}")
    places, is_header = positions(fields(first, f"{name}, line 1"), columns, name)
    at, lines = (1, lines) if is_header else (0, itertools.chain([first], lines))
    times, values, left_out, cut_short = [np.empty(0, np.int64)], [np.empty((0, len(places) - 1))], 0, False
    while block := list(itertools.islice(lines, _BLOCK)):
        try:
            stamps, rows, cut_short = _fast(block, places, time_unit)
        except (ValueError, OverflowError):
            stamps, rows, cut_short = _careful(block, places, time_unit, name, at)
        finite = np.isfinite(rows).all(axis=1)
        times.append(stamps[finite])
        values.append(rows[finite])
        left_out += int(np.count_nonzero(~finite))
        at += len(block)
    return Table(np.concatenate(times), np.concatenate(values), left_out, cut_short)


def lines_of(file: BinaryIO, name: str) -> Iterator[str]:
    """The lines of a CSV, as text with their ends; the byte order mark goes.

    Raises:
        RecordingError: a line of 64 KB or more, or zero bytes: no CSV.
    """
    encoding = "utf-8-sig"
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE or b"\0" in line:
            raise RecordingError(
                f"{name} is no CSV file: it has a line of 64 KB or more, or zero bytes, as UTF-16 has: save it as UTF-8"
            )
        yield line.decode(encoding, "replace")
        encoding = "utf-8"


def fields(line: str, where: str) -> list[str]:
    """The fields of one line; none of a blank one.

    Raises:
        RecordingError: quotes that do not close.
    """
    try:
        return [field.strip() for field in next(csv.reader([line], strict=True), [])]
    except csv.Error as error:
        raise RecordingError(f"{where} is no row of a CSV ({error}); is this a CSV file, in UTF-8?") from error


def positions(header: list[str], columns: Sequence[int | str], name: str) -> tuple[list[int], bool]:
    """Where the columns are, from 0, and whether the first line is a header.

    Raises:
        RecordingError: a column is not there, or there twice.
    """
    missing = [column for column in columns if isinstance(column, str) and header.count(column) != 1]
    line = ",".join(header)
    if missing and "\ufffd" in line:
        raise RecordingError(f"{name} is no CSV file: its first line is no text in UTF-8 ({line[:40]!r})")
    if missing:
        advice = _case_advice(header, columns) or _advice(header)
        raise RecordingError(
            f"{name} has {'no' if missing[0] not in header else 'more than one'} column {missing[0]!r}; its first line "
            f"is {line[:80]!r}; expected {', '.join(map(str, columns))}{advice}"
        )
    places = [header.index(column) if isinstance(column, str) else column for column in columns]
    if max(places) >= len(header):
        advice = _form_advice(header)
        raise RecordingError(f"{name} has {len(header)} columns; expected number {max(places) + 1} too{advice}")
    return places, any(isinstance(column, str) for column in columns) or not _is_number(header[places[0]])


def row(line: list[str], places: Sequence[int], unit: str, where: str) -> tuple[int, list[float]]:
    """One row's time in nanoseconds and its values; a field that is as good as empty is NaN.

    Raises:
        RecordingError: a field is no number or not there.
    """
    try:
        texts = [line[place] for place in places]
        return nanoseconds(texts[0], unit), [
            float("nan") if text.lower() in _EMPTY else float(text) for text in texts[1:]
        ]
    except _NoTimeError as error:
        raise RecordingError(f"{where}: {error}") from error
    except (IndexError, ValueError, OverflowError) as error:
        found, advice = ",".join(line)[:80], _comma_advice(line)
        raise RecordingError(
            f"{where}: expected numbers in all {len(places)} columns, found {found!r}{advice}"
        ) from error


def is_cut_short(line: str) -> bool:
    """Whether a line, which only the last can, ends without a line's end: it may be half a row."""
    return not line.endswith(("\n", "\r"))


def nanoseconds(text: str, unit: str) -> int:
    """A time as decimal text in whole nanoseconds, to the last digit.

    Raises:
        ValueError: no number, or beyond what is taken for a time, 2^62 ns.
    """
    whole, _, fraction = text.partition(".")
    scale = NANOSECONDS[unit]
    if not (whole.lstrip("+-").isdecimal() and (not fraction or fraction.isdecimal()) and len(whole) < _LONGEST_TIME):
        time = round(float(text) * scale)  # 1.6e9 and the like
    else:
        digits = int(fraction[:12].ljust(12, "0")) * scale // 10**12
        time = int(whole) * scale + (-digits if whole.startswith("-") else digits)
    if abs(time) >= _LATEST_NS:
        raise _NoTimeError(
            f"the time {text[:_LONGEST_TIME]} {unit} lies outside of +-146 years; is the time unit ({unit}) right? "
            f"Declare one of {', '.join(NANOSECONDS)} (--time-unit, or time_unit in a folder's sensors.json)"
        )
    return time


def _fast(block: list[str], places: list[int], unit: str) -> _Part:
    """Parse a block of clean rows; raises ValueError where `_careful` has to look."""
    if not any(line.strip() for line in block):
        return np.empty(0, np.int64), np.empty((0, len(places) - 1)), False
    if is_cut_short(block[-1]):
        raise ValueError("the last row may be half a row")
    kind = np.dtype([("time", f"U{_LONGEST_TIME}"), ("values", np.float64, (len(places) - 1,))])
    table = np.loadtxt(block, kind, comments=None, delimiter=",", usecols=places, quotechar='"', ndmin=1)
    texts = table["time"].tolist()
    if unit == "ns" and all(map(str.isdecimal, texts)):
        times = np.array([int(text) for text in texts], np.int64)
        if (times >= _LATEST_NS).any():
            raise ValueError("no times")
    else:
        times = np.array([nanoseconds(text.strip(), unit) for text in texts], np.int64)
    return times, table["values"], False


def _careful(block: list[str], places: list[int], unit: str, name: str, at: int) -> _Part:
    """Parse a block row by row; `at` lines come before it."""
    times: list[int] = []
    values: list[list[float]] = []
    cut_short = False
    for number, line in enumerate(block, at + 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            found = fields(line, where)
            if len(found) > max(places) and found[places[0]].lower() in _NO_TIME:
                found[places[0]], found[places[1]] = "0", ""  # a row without a time is left out as well
            time, numbers = row(found, places, unit, where)
        except RecordingError:
            if not is_cut_short(line):
                raise
            cut_short = True
            break
        times.append(time)
        values.append(numbers)
    return np.array(times, np.int64), np.array(values, np.float64).reshape(len(times), len(places) - 1), cut_short


def _case_advice(header: list[str], columns: Sequence[int | str]) -> str:
    """What to do about columns that are there but for the case of their letters."""
    found = [_but_for_case(column, header) if isinstance(column, str) else str(column + 1) for column in columns]
    if None in found:
        return ""
    advice = ". They differ in upper and lower case alone"
    if len(found) == len(NAMES):  # else it is no table whose columns can be chosen
        advice += f": choose them by --columns {','.join(filter(None, found))}, or columns in a folder's sensors.json"
    return advice


def _but_for_case(column: str, header: list[str]) -> str | None:
    """The header's name of a column, in whatever case; none where there is none, or several."""
    alike = [name for name in header if name.casefold() == column.casefold()]
    same = [name for name in alike if name == column] or alike
    return same[0] if len(same) == 1 else None


def _comma_advice(texts: list[str]) -> str:
    """What to do about numbers such as 9,81."""
    return "; write decimal points, not commas" if any(map(_DECIMAL_COMMA.fullmatch, texts)) else ""


def _advice(header: list[str]) -> str:
    """What to do about a first line without the columns, where it shows what it is."""
    if advice := _form_advice(header) or _comma_advice(header):
        return advice
    if header and all(map(_is_number, header)):
        return f". It is no header: choose columns by number (--columns {','.join(map(str, range(1, len(NAMES) + 1)))})"
    return ""


def _form_advice(header: list[str]) -> str:
    line = ",".join(header).strip()
    if line.startswith("{"):
        return ". It looks like JSON lines: --input jsonl reads them"
    for separator, spoken in ((";", "semicolons"), ("\t", "tabs")):
        if line.count(separator) >= len(NAMES) - 1:
            return f". Its fields are set apart by {spoken}; write commas, and points in numbers"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
