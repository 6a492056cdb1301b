"""JSON lines as input: our own form and Sensor Logger's messages; a bad line costs itself and nothing else."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from primus_sdk.commands._jsonl import JsonLines
from primus_sdk.windowing.sensors import STANDARD_GRAVITY, Sensors

UP = np.array([0.0, 0.0, STANDARD_GRAVITY])
MOTION = np.array([0.5, -1.0, 2.0])
RATES = [0.1, 0.2, -0.3]
START = 1_698_501_144_401_773_123


def reader(lines: list[Any], said: list[str] | None = None, **options: Any) -> JsonLines:
    content = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    settings: dict[str, Any] = {"declared": Sensors(), "convention": None, "device": None}
    say = (lambda text: None) if said is None else said.append
    return JsonLines(io.BytesIO(content), "stdin", **(settings | options), say=say)


def taken(lines: list[Any], **options: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """All that is pushed, by sensor: times and values."""
    by_sensor: dict[str, list] = {}
    for sensor, times, values in reader(lines, **options).pushes():
        by_sensor.setdefault(sensor, []).append((np.asarray(times), np.asarray(values)))
    return {
        sensor: (np.concatenate([t for t, _ in pushes]), np.concatenate([v for _, v in pushes]))
        for sensor, pushes in by_sensor.items()
    }


def message(*readings: dict[str, Any]) -> dict[str, Any]:
    return {"messageId": 0, "sessionId": "a", "deviceId": "b", "payload": list(readings)}


def phone(name: str, time: Any, values: Any) -> dict[str, Any]:
    return {"name": name, "time": time, "values": dict(zip("xyz", map(float, values), strict=True))}


def headphone(time: int, acceleration: np.ndarray, gravity: np.ndarray) -> dict[str, Any]:
    kinds = {"acceleration": acceleration, "gravity": gravity, "rotationRate": RATES}
    values = {f"{kind}{axis}": float(v) for kind, vs in kinds.items() for axis, v in zip("XYZ", vs, strict=True)}
    return {"name": "headphone", "time": time, "values": values | {"devicelocation": "left"}}


def test_samples_come_alone_or_in_lists() -> None:
    found = taken(
        [
            {"sensor": "accelerometer", "t_ns": START, "values": [0, 9.8, 1]},
            {"sensor": "accelerometer", "t_ns": [START + 1, START + 2], "values": [[1, 2, 3], [4, 5, 6]]},
            {"sensor": "gyroscope", "t_ns": START, "values": RATES},
            {"sensor": "both", "t_ns": [START], "values": [[1, 2, 3, 4, 5, 6]]},
        ]
    )
    np.testing.assert_array_equal(found["accelerometer"][0], [START, START + 1, START + 2])
    np.testing.assert_array_equal(found["accelerometer"][1], [[0, 9.8, 1], [1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(found["gyroscope"][1], [RATES])
    np.testing.assert_array_equal(found["both"][1], [[1, 2, 3, 4, 5, 6]])


def test_units_and_sign_are_as_declared() -> None:
    declared = Sensors("g", "deg/s", "ios")
    found = taken([{"sensor": "both", "t_ns": 0, "values": [0, 0, -1, 180, 0, 0]}], declared=declared)
    np.testing.assert_allclose(found["both"][1], [[0, 0, STANDARD_GRAVITY, np.pi, 0, 0]])
    found = taken([{"sensor": "gyroscope", "t_ns": 0, "values": [180, 0, 0]}], declared=declared)
    np.testing.assert_allclose(found["gyroscope"][1], [[np.pi, 0, 0]])


def test_an_android_phones_messages_give_its_total_acceleration() -> None:
    readings = [phone("totalacceleration", START, UP + MOTION), phone("accelerometer", START, MOTION),
                phone("gravity", START, UP), phone("gyroscope", str(START + 5), RATES),
                {"name": "location", "time": START, "values": {"latitude": 1}}]  # fmt: skip
    found = taken([message(*readings)])
    np.testing.assert_array_equal(found["accelerometer"][1], [UP + MOTION])
    np.testing.assert_array_equal(found["gyroscope"][0], [START + 5])
    np.testing.assert_array_equal(found["gyroscope"][1], [RATES])


@pytest.mark.parametrize(("convention", "sign"), [(None, -1.0), ("android", 1.0)])
def test_an_iphones_motion_waits_for_the_gravity_of_its_moment(convention: str | None, sign: float) -> None:
    times = START + np.arange(6) * 10_000_000
    found = taken(
        [
            message(*(phone("accelerometer", int(t), sign * MOTION) for t in times[:4])),
            message(*(phone("gravity", int(t), sign * UP) for t in times[:3])),
            message(*(phone("gravity", int(t), sign * UP) for t in times[3:])),
            message(*(phone("accelerometer", int(t), sign * MOTION) for t in times[4:])),
        ],
        convention=convention,
    )
    np.testing.assert_array_equal(found["accelerometer"][0], times)
    np.testing.assert_allclose(found["accelerometer"][1], np.broadcast_to(UP + MOTION, (6, 3)))


def test_motion_that_no_gravity_comes_for_is_counted() -> None:
    lines = reader([message(phone("accelerometer", START, MOTION), phone("gyroscope", START, RATES))])
    assert [push[0] for push in lines.pushes()] == ["gyroscope"]
    assert lines.left_out() == "lines or samples left out: 1 without gravity"


@pytest.mark.parametrize(("convention", "sign", "unit"), [(None, -1.0, STANDARD_GRAVITY), ("android", 1.0, 1.0)])
def test_headphones_give_acceleration_with_gravity(convention: str | None, sign: float, unit: float) -> None:
    found = taken([message(headphone(START, sign * MOTION / unit, sign * UP))], convention=convention)
    np.testing.assert_allclose(found["both"][1], [[*(UP + MOTION), *RATES]])


def test_fields_may_lie_beside_name_and_time() -> None:
    found = taken([message({"name": "gyroscope", "time": START, "x": 1, "y": 2, "z": 3})])
    np.testing.assert_array_equal(found["gyroscope"][1], [[1, 2, 3]])


def test_the_headphone_is_preferred_and_said_and_the_phone_can_be_asked_for() -> None:
    line = message(
        phone("totalacceleration", START, UP), phone("gyroscope", START, RATES), headphone(START, MOTION, -UP)
    )
    said: list[str] = []
    lines = reader([line, message(phone("gyroscope", START, RATES))], said)
    assert [push[0] for push in lines.pushes()] == ["both"]
    assert said == ["taking the headphone's sensors; --device takes the other's"]
    assert set(taken([line], device="phone")) == {"accelerometer", "gyroscope"}


BAD = [
    (b"{", "no JSON"),
    (b"[" * 100_000, "no JSON"),
    (b"7", "of no known form"),
    ({"payload": {}}, "of no known form"),
    ({"sensor": "magnetometer", "t_ns": 0, "values": [1, 2, 3]}, "of no known sensor"),
    ({"sensor": ["both"], "t_ns": 0, "values": [1, 2, 3]}, "of no known sensor"),
    ({"sensor": "both", "t_ns": 0, "values": [1, 2, 3]}, "of another shape"),
    ({"sensor": "gyroscope", "t_ns": [0, 1], "values": [1, 2, 3]}, "of another shape"),
    ({"sensor": "gyroscope", "t_ns": [0], "values": [1, 2, 3]}, "of another shape"),
    ({"sensor": "gyroscope", "t_ns": 0.5, "values": [1, 2, 3]}, "without a time"),
    ({"sensor": "gyroscope", "t_ns": True, "values": [1, 2, 3]}, "without a time"),
    ({"sensor": "gyroscope", "t_ns": 1 << 63, "values": [1, 2, 3]}, "without a time"),
    ({"sensor": "gyroscope", "values": [1, 2, 3]}, "without a time"),
    ({"sensor": "gyroscope", "t_ns": 0}, "without numbers"),
    ({"sensor": "gyroscope", "t_ns": 0, "values": ["1", "2", "3"]}, "without numbers"),
    ({"sensor": "gyroscope", "t_ns": 0, "values": [[1], [2, 3]]}, "without numbers"),
    ({"sensor": "gyroscope", "t_ns": 0, "values": [None, 2, 3]}, "without numbers"),
    (message(phone("gyroscope", "soon", RATES)), "without a time"),
    (message({"name": "gyroscope", "time": 0, "values": {"x": 1}}), "without numbers"),
    (message({"name": "gyroscope", "time": 0, "values": 7}), "without numbers"),
    (b"\xff\xfe", "no JSON"),
    (b" " * (8 << 20) + b"{}", "too long"),
]


@pytest.mark.parametrize(("line", "kind"), BAD)
def test_a_bad_line_is_counted_and_the_next_is_taken(line: Any, kind: str) -> None:
    said: list[str] = []
    lines = reader([line, line, {"sensor": "gyroscope", "t_ns": 0, "values": [1, 2, 3]}], said, device="phone")
    assert [np.asarray(values).tolist() for _, _, values in lines.pushes()] == [[[1, 2, 3]]]
    assert lines.bad == {kind: 2}
    assert len(said) == 1
    assert said[0].startswith("stdin, line 1 left out, and any like it: ")


def test_of_a_message_with_one_bad_reading_the_others_are_taken() -> None:
    lines = reader([message(phone("gyroscope", "x", RATES), phone("gyroscope", START, RATES), 7, {"name": 3})])
    assert [np.asarray(times).tolist() for _, times, _ in lines.pushes()] == [[START]]
    assert lines.bad == {"without a time": 1}


def test_blank_lines_are_no_matter() -> None:
    lines = reader([b"", b"  \r", {"sensor": "gyroscope", "t_ns": 0, "values": [1, 2, 3]}])
    assert len(list(lines.pushes())) == 1
    assert lines.left_out() == ""


def test_what_waits_for_gravity_is_bounded() -> None:
    lines = reader([message(*(phone("accelerometer", START + i, MOTION) for i in range(k, k + 1000)))
                    for k in range(0, 9000, 1000)])  # fmt: skip
    assert list(lines.pushes()) == []
    assert lines.bad == {"without gravity": 9000}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["sensor", "t_ns", "values", "payload", "name", "time", "x", "y", "z"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(st.binary(max_size=30) | json_values.map(lambda value: json.dumps(value).encode()), max_size=4))
def test_no_line_whatever_it_holds_ends_the_stream(lines: list[bytes]) -> None:
    good = json.dumps({"sensor": "gyroscope", "t_ns": 7, "values": [1, 2, 3]}).encode()
    pushes = list(reader([*lines, good], device="phone").pushes())
    assert any(np.asarray(times).tolist() == [7] for _, times, _ in pushes)
