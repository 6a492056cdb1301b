"""The made sensor streams of the golden vectors: a head that walks, nods, turns or rests, and what goes wrong with it.

Every value is rounded to three decimals, so that its text is exact. All is drawn from one seeded generator a sensor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MS = 1_000_000
BOOT = 86_400_000 * MS  # a device that has been on for a day
G = 9.80665
TURN = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
TILT = (1.0, 0.0, 0.0, 0.0, 0.8, -0.6, 0.0, 0.6, 0.8)
KINDS = ("walk", "nod", "turn", "run", "still")


@dataclass
class Row:
    """One sample: when it arrives (for the order), its timestamp, its three values and gravity where it comes apart."""

    arrival: float
    t: int
    values: list[float]


@dataclass
class Case:
    name: str
    accelerometer: list[Row]
    gyroscope: list[Row]
    options: dict[str, Any] = field(default_factory=dict)
    flush_at: int | None = None


def motion(kind: str, seconds: np.ndarray, seed: int) -> np.ndarray:
    """What the head does at these times: (n, 6), m/s^2 with gravity and rad/s; the noise is left to the sensor."""
    random = np.random.default_rng([seed, KINDS.index(kind)])
    pace = {"walk": 1.9, "run": 2.8, "nod": 0.9, "turn": 0.4, "still": 0.25}[kind] * random.uniform(0.92, 1.08)
    phase = 2 * math.pi * pace * seconds + random.uniform(0, 6)
    bounce = {"walk": 2.2, "run": 6.0, "nod": 0.25, "turn": 0.15, "still": 0.003}[kind]
    pitch = 0.1 + {"walk": 0.04, "run": 0.08, "nod": 0.35, "turn": 0.03, "still": 0.0}[kind] * np.sin(phase)
    yaw_rate = {"walk": 0.15, "run": 0.3, "nod": 0.1, "turn": 2.5, "still": 0.001}[kind] * np.cos(phase / 2)
    acceleration = np.stack([0.3 * bounce * np.sin(phase / 2 + 1), G * np.cos(pitch), G * np.sin(pitch)])
    for harmonic, share in ((1, 1.0), (2, 0.4), (3, 0.2), (5, 0.1)):
        acceleration[1] += bounce * share * np.sin(harmonic * phase + harmonic)
        acceleration[2] += 0.4 * bounce * share * np.sin(harmonic * phase + 2 * harmonic)
    strike = np.exp(-((phase / (2 * math.pi) % 1) / (pace * 0.03)))  # the heel
    acceleration[1] += bounce * strike
    pitch_rate = 2 * math.pi * pace * (pitch.max() - 0.1) * np.cos(phase)
    return np.vstack([acceleration, pitch_rate, yaw_rate, 0.05 * bounce * np.sin(phase / 2)]).T


def sensor(
    side: int,
    rate: float,
    seconds: float,
    *,
    kind: str = "walk",
    start: int = BOOT,
    jitter_ms: float = 0.0,
    seed: int = 1,
) -> list[Row]:
    """One sensor's samples at a rate, its times off by up to `jitter_ms`; side 0 is the accelerometer."""
    random = np.random.default_rng([seed, side, round(rate)])
    count = int(rate * seconds)
    times = start + np.round(np.arange(count) * 1e9 / rate).astype(np.int64)
    times += np.round(random.uniform(-jitter_ms, jitter_ms, count) * MS).astype(np.int64)
    noise = 0.0 if kind == "still" and side else (0.05, 0.01)[side] * (0.2 if kind == "still" else 1)
    values = motion(kind, (times - BOOT) / 1e9, seed)[:, 3 * side : 3 * side + 3] + random.normal(0, noise, (count, 3))
    return [Row(t, t, rounded(v)) for t, v in zip(times.tolist(), values.tolist(), strict=True)]


def rounded(values: list[float]) -> list[float]:
    return [round(value, 3) + 0.0 for value in values]


def scaled(rows: list[Row], factor: float) -> list[Row]:
    return [Row(row.arrival, row.t, rounded([value * factor for value in row.values])) for row in rows]


def turned_back(rows: list[Row], mount: tuple[float, ...]) -> list[Row]:
    """As a sensor reports them that `mount` turns into our axes."""
    inverse = np.array(mount).reshape(3, 3).T
    return [Row(row.arrival, row.t, rounded((inverse @ row.values).tolist())) for row in rows]


def without(rows: list[Row], first_s: float, seconds: float) -> list[Row]:
    return [row for row in rows if not first_s <= (row.t - BOOT) / 1e9 < first_s + seconds]


def delayed(rows: list[Row], every: int, ms: float) -> list[Row]:
    """Each n-th sample arrives late."""
    return [Row(row.arrival + (ms * MS if n % every == 0 else 0), row.t, row.values) for n, row in enumerate(rows)]


def repeated(rows: list[Row]) -> list[Row]:
    """Each seventh sample comes twice, each fourteenth the second time 50 us later."""
    more = [Row(row.arrival, row.t + (n % 2) * 50_000, row.values) for n, row in enumerate(rows[3::7])]
    return sorted([*rows, *more], key=lambda row: row.arrival)


def clocked(rows: list[Row], from_s: float, by_s: float, count: int | None = None) -> list[Row]:
    """The timestamps, not the order, of all samples from a time on (or so many of them) are shifted."""
    first = next(n for n, row in enumerate(rows) if row.t - BOOT >= from_s * 1e9)
    last = len(rows) if count is None else first + count
    by = round(by_s * 1e9)
    return [Row(row.arrival, row.t + (by if first <= n < last else 0), row.values) for n, row in enumerate(rows)]


def spoilt(rows: list[Row]) -> list[Row]:
    bad = {50: math.nan, 51: math.inf, 120: -math.inf, 260: 1e6, 261: math.nan}
    return [
        Row(row.arrival, row.t, [row.values[0], bad.get(n, row.values[1]), row.values[2]]) for n, row in enumerate(rows)
    ]


def clipped(rows: list[Row], limit: float) -> list[Row]:
    return [Row(row.arrival, row.t, [max(-limit, min(limit, value)) for value in row.values]) for row in rows]


def gravity_apart(rows: list[Row]) -> list[Row]:
    """In g, gravity apart: Core Motion's way, with its sign."""
    gravity = [0.0, -0.995, -0.0998]
    return [
        Row(row.arrival, row.t, rounded([-v / G - g for v, g in zip(row.values, gravity, strict=True)]) + gravity)
        for row in rows
    ]


def both(rate: float, seconds: float, **options: Any) -> tuple[list[Row], list[Row]]:
    return sensor(0, rate, seconds, **options), sensor(1, rate, seconds, **options)


def cases() -> list[Case]:
    made = [Case(f"clean_{rate}_hz", *both(rate, 6.4)) for rate in (20, 25, 33, 50, 69, 100)]
    made += [Case(f"clean_{rate}_hz", *both(rate, 5.2)) for rate in (200, 1000)]
    made.append(Case("jittered_100_hz", *both(100, 6.4, jitter_ms=4)))
    made.append(Case("two_rates_and_offsets", sensor(0, 104, 6.4), sensor(1, 69, 6.4, start=BOOT + 137_654_321)))
    for name, seconds in (("80_ms", 0.08), ("400_ms", 0.4), ("1500_ms", 1.5)):
        a, g = both(100, 12 if seconds > 1 else 6.6)
        made.append(Case(f"gap_{name}_both", without(a, 5.3, seconds), without(g, 5.3, seconds)))
        made.append(Case(f"gap_{name}_gyroscope", a, without(g, 5.3, seconds)))
    a, g = both(100, 6.4)
    made += [
        Case("reordered_within", delayed(a, 7, 8), delayed(g, 5, 9)),
        Case("reordered_beyond", delayed(a, 40, 45), delayed(g, 50, 200)),
        Case("reordered_long_window", delayed(a, 7, 45), delayed(g, 5, 90), {"reorder_s": 0.1}),
        Case("repeated", repeated(a), repeated(g)),
        Case("invalid", spoilt(a), spoilt(g)),
        Case("accelerometer_in_g", scaled(a, 1 / G), g, {"accelerometer_unit": "g"}),
        Case("gyroscope_in_deg", a, scaled(g, 180 / math.pi), {"gyroscope_unit": "deg/s"}),
        Case("ios", scaled(a, -1 / G), g, {"accelerometer_unit": "g", "convention": "ios"}),
        Case("mount", turned_back(a, TURN), turned_back(g, TURN), {"mount": TURN}),
        Case(
            "mount_tilt_ios",
            scaled(turned_back(a, TILT), -1),
            turned_back(g, TILT),
            {"mount": TILT, "convention": "ios"},
        ),
        Case("gravity_apart", gravity_apart(a), g, {"accelerometer_unit": "g", "convention": "ios"}),
        Case("hop_half_second", a, g, {"hop_s": 0.5}),
        Case("hop_20_ms", *both(50, 5.3), {"hop_s": 0.02}),
        Case("hop_7_seconds", *both(50, 12.2), {"hop_s": 7.0}),
        Case("fill_500_ms", without(a, 5.3, 0.4), g, {"fill_s": 0.5}),
        Case("reset_300_ms", *[without(rows, 5.3, 0.4) for rows in both(100, 11)], {"reset_s": 0.3}),
        Case("reorder_none", delayed(a, 40, 15), g, {"reorder_s": 0.0}),
        Case("slow_and_late", *[delayed(rows, 9, 45) for rows in both(25, 6.4)]),
    ]
    a, g = both(100, 11.3)
    made += [
        Case("clock_set_back", clocked(a, 5.5, -7), clocked(g, 5.5, -7)),
        Case("clock_set_back_gyroscope_later", clocked(a, 5.5, -7), clocked(g, 6, -7)),
        Case("clock_jumped_forward", clocked(a, 5.5, 3600), clocked(g, 5.5, 3600)),
        Case("one_timestamp_ahead", clocked(a, 4.0, 3, 1), g),
        Case("one_timestamp_half_a_second_ahead", clocked(a[:700], 5.3, 0.5, 1), g[:700]),
        Case("flush_between", *both(100, 11), flush_at=5500 * MS),
        Case("gyroscope_silent", *[rows if n == 0 else without(rows, 5.3, 9) for n, rows in enumerate(both(100, 7))]),
        Case("still", *both(100, 6.4, kind="still")),
        Case("nodding_since_1970", *both(50, 6.4, kind="nod", start=1_700_000_000_123_456_789)),
    ]
    a, g = both(100, 6.4, kind="run")
    made += [
        Case(
            "saturated_declared",
            clipped(a, 16.0),
            clipped(g, 1.2),
            {"accelerometer_range": 16.0, "gyroscope_range": 1.2},
        ),
        Case("saturated_undeclared", clipped(a, 19.6133), g),
        Case("saturated_undeclared_in_g", clipped(scaled(a, 1 / G), 2.0), g, {"accelerometer_unit": "g"}),
    ]
    return made
