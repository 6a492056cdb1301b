from __future__ import annotations

import pickle

import pytest

from primus_models.errors import CheckpointError
from primus_models.pickle_reader import Global, Opaque, read_pickle


def raw(*parts: bytes) -> bytes:
    """A pickle from opcodes, of protocol 2."""
    return b"\x80\x02" + b"".join(parts) + b"."


def test_named_objects_become_inert_records() -> None:
    value = read_pickle(raw(b"](cos\nsystem\n\x82\x01csome\nThing\n)\x81e"))
    assert isinstance(value[0], Global)
    assert (value[0].module, value[0].name) == ("os", "system")
    assert isinstance(value[1], Opaque)
    assert isinstance(value[2], Opaque)
    assert value[2].of == "some.Thing"


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_as_they_were(protocol: int) -> None:
    text_or_bytes = b"y" if protocol > 2 else "no bytes before protocol 3"
    value = {"a": [1, 2.5, None, True, -(2**70)], "b": ("x", text_or_bytes, ("ü" * 300, 1, 2)), 7: {"c": []}}
    assert read_pickle(pickle.dumps(value, protocol)) == value


def test_a_container_that_holds_itself_is_read() -> None:
    value = read_pickle(raw(b"]q\x00h\x00a"))
    assert value[0] is value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged|no end"),
        (b"\x80\x02]", "damaged|no end"),
        (raw(), "damaged"),
        (raw(b"0"), "damaged"),
        (raw(b"h\x07"), "damaged"),
        (raw(b"(R"), "damaged"),
        (raw(b"]K\x01K\x02s"), "damaged"),
        (raw(b"(K\x01d"), "without a value"),
        (raw(b"\x97"), "NEXT_BUFFER"),
        (b"\x80\x02B\xff\xff\xff\x7fabc.", "damaged"),
        (b"\x80\x02(" * 2 + b"\xff", "damaged"),
        (b" " * ((16 << 20) + 1), "16777217 bytes"),
    ],
)
def test_damaged_pickles_are_typed_errors(content: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_pickle(content)


def test_deep_nesting_is_no_crash() -> None:
    assert read_pickle(raw(b"]" * 200_000 + b"a" * 199_999))[0] != []
    assert len(read_pickle(raw(b")" + b"\x85" * 200_000))) == 1
