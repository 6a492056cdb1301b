"""CSV tables of times and values: exact, and whatever a file holds, an answer or an error of ours."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from primus_sdk.errors import RecordingError
from primus_sdk.recordings import csv_table

HEADER = b"t,ax,ay,az,gx,gy,gz\n"


def read(content: bytes, unit: str = "ns", columns: tuple = csv_table.NAMES) -> csv_table.Table:
    return csv_table.read(io.BytesIO(content), "x.csv", columns, unit)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("1698501144401773123", "ns", 1_698_501_144_401_773_123),
        ("1698501144.401773123", "s", 1_698_501_144_401_773_123),
        ("-0.5", "ms", -500_000),
        ("1.5e3", "us", 1_500_000),
        ("+7", "s", 7_000_000_000),
    ],
)
def test_times_are_read_to_the_last_digit(text: str, unit: str, expected: int) -> None:
    assert csv_table.nanoseconds(text, unit) == expected
    assert read(f"{text},1\n{text},1\n".encode(), unit, (0, 1)).timestamps_ns.tolist() == [expected] * 2


@given(
    st.lists(
        st.tuples(st.integers(-(10**18), 10**18), st.floats(-1e6, 1e6), st.sampled_from(["\n", "\r\n", "\n\n"])),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(list(csv_table.NANOSECONDS)),
)
def test_what_was_written_is_read_bit_for_bit(rows: list[tuple[int, float, str]], unit: str) -> None:
    scale = csv_table.NANOSECONDS[unit]
    digits = len(str(scale)) - 1
    sign = {True: "-", False: ""}
    lines = [f"{sign[t < 0]}{abs(t) // scale}.{abs(t) % scale:0{digits or 1}d},{v!r}{end}" for t, v, end in rows]
    table = read(("t,v\n" + "".join(lines)).encode(), unit, ("t", "v"))
    assert table.timestamps_ns.tolist() == [t for t, _, _ in rows]
    assert table.values[:, 0].tolist() == [v for _, v, _ in rows]


def test_a_row_that_wants_care_changes_nothing_about_the_others() -> None:
    rows = [f"{i},{','.join(str(i / 7 + k) for k in range(6))}\n" for i in range(40_000)]
    plain = read(HEADER + "".join(rows).encode())
    rows[20_000] = "20000,1,2,,4,5,6\n"
    careful = read(HEADER + "".join(rows).encode())
    assert (careful.left_out, len(careful.timestamps_ns)) == (1, 39_999)
    np.testing.assert_array_equal(careful.values, np.delete(plain.values, 20_000, axis=0))
    np.testing.assert_array_equal(careful.timestamps_ns, np.delete(plain.timestamps_ns, 20_000))
    rows[20_000] = "20000,1,2,?,4,5,6\n"
    with pytest.raises(RecordingError, match=r"x\.csv, line 20002: expected numbers in all 7"):
        read(HEADER + "".join(rows).encode())


@pytest.mark.parametrize("word", ["", "NA", "n/a", "N/A", "null", "NULL", "None", "none", " NA "])
@pytest.mark.parametrize("place", [0, 1, 6])
def test_a_field_that_says_that_it_is_missing_counts_as_empty(word: str, place: int) -> None:
    row = ["5", "1", "2", "3", "4", "5", "6"]
    row[place] = word
    table = read(HEADER + b"1,1,2,3,4,5,6\n" + ",".join(row).encode() + b"\n9,1,2,3,4,5,6\n")
    assert (table.left_out, table.timestamps_ns.tolist()) == (1, [1, 9])


@pytest.mark.parametrize("word", ["no", "nothing", "NAN0", "-", "nil"])
def test_any_other_word_is_still_an_error(word: str) -> None:
    with pytest.raises(RecordingError, match="line 2: expected numbers"):
        read(HEADER + f"1,1,2,{word},4,5,6\n".encode())


@pytest.mark.parametrize(
    ("header", "choice"),
    [("T,AX,AY,AZ,GX,GY,GZ", "T,AX,AY,AZ,GX,GY,GZ"), ("note,t,ax,ay,Az,gx,gy,gz", "t,ax,ay,Az,gx,gy,gz")],
)
def test_columns_that_differ_in_case_alone_are_hinted_at(header: str, choice: str) -> None:
    with pytest.raises(RecordingError, match="upper and lower case alone") as error:
        read(header.encode() + b"\n1,1,2,3,4,5,6,7\n")
    assert f"--columns {choice}," in str(error.value)
    assert "sensors.json" in str(error.value)
    rows = f"{header}\n{'1,' * header.count(',')}1\n".encode()
    assert len(read(rows, columns=tuple(csv_table.chosen(choice))).values) == 1


@pytest.mark.parametrize(
    "header", ["T,ax,ay,az,gx,gy,other", "T,t,ax,ay,az,gx,gy,GZ,Gz", "t,t,ax,ay,az,gx,gy,gz", "a,b"]
)
def test_columns_that_are_not_all_there_in_any_case_are_not(header: str) -> None:
    with pytest.raises(RecordingError, match=r"(no|more than one) column") as error:
        read(header.encode() + b"\n")
    assert "case" not in str(error.value)


def test_other_tables_than_of_six_axes_are_told_of_no_option() -> None:
    with pytest.raises(RecordingError, match=r"upper and lower case alone$"):
        read(b"Time,X\n1,2\n", columns=("time", "x"))


@pytest.mark.parametrize("first", ["t,ax,ay,az,gx,gy,gz\n", ""])
def test_numbers_with_a_decimal_comma_are_called_that(first: str) -> None:
    row = ",".join(f'"{n},5"' for n in range(7))
    with pytest.raises(RecordingError, match="write decimal points, not commas"):
        read(f"{first}{row}\n{row}\n".encode())


def test_columns_by_number_need_no_header_and_pass_one_over() -> None:
    columns = tuple(csv_table.chosen("2,3,4,5,6,7,8"))
    with_header = read(b"name,t,a,b,c,d,e,f\nx,1,1,2,3,4,5,6\nx,2,1,2,3,4,5,6\n", columns=columns)
    without = read(b"x,1,1,2,3,4,5,6\nx,2,1,2,3,4,5,6\n", columns=columns)
    np.testing.assert_array_equal(with_header.values, without.values)
    assert without.timestamps_ns.tolist() == [1, 2]


@pytest.mark.parametrize("columns", ["", "t,x", "t,t,t,t,t,t,t", "1,1,2,3,4,5,6", "t,ax,ay,az,gx,gy,"])
def test_a_choice_that_is_not_of_seven_columns_is_refused(columns: str) -> None:
    with pytest.raises(RecordingError, match="seven different"):
        csv_table.chosen(columns)


field = st.sampled_from(
    [b"0", b"1.5", b"-2e3", b"nan", b"inf", b"", b"x", b'"1"', b'"', b" 7 ", b"9" * 30, b"1_0", b"\xff"]
)
line = st.lists(field, max_size=9).map(b",".join)
end = st.sampled_from([b"\n", b"\r\n", b"\r", b"", b"\0"])


@given(st.lists(st.tuples(line, end), max_size=8), st.sampled_from(list(csv_table.NANOSECONDS)))
def test_any_rows_are_read_or_refused_with_an_error_of_ours(rows: list[tuple[bytes, bytes]], unit: str) -> None:
    for content in (b"".join(a + b for a, b in rows), HEADER + b"".join(a + b for a, b in rows)):
        for columns in (csv_table.NAMES, (0, 1, 2, 3, 4, 5, 6)):
            try:
                table = read(content, unit, columns)
            except RecordingError:
                continue
            assert np.isfinite(table.values).all()
            assert table.values.shape == (len(table.timestamps_ns), 6)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_an_error_of_ours(content: bytes) -> None:
    for before in (b"", HEADER):
        try:
            read(before + content)
        except RecordingError:
            continue
