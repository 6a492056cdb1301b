"""The second opinion on a stream: sdk/spec/stream.md read word by word, over the whole recording, slowly and plainly.

It shares no code with the SDK, and was written from the prose without reading the SDK's. Headings are the contract's
sections. `windows` takes each sensor's samples in their order of arrival and returns what a stream must give.
"""

from __future__ import annotations

import bisect
import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import i0

MS = 1_000_000
GRID, REACH, LONGEST = 20 * MS, 100 * MS, 100 * MS
STANDARD_GRAVITY = 9.80665


@dataclass
class Options:
    """What the contract leaves to the caller, with its defaults; times in seconds."""

    hop_s: float = 1.0
    units: tuple[str, str] = ("m/s^2", "rad/s")
    convention: str = "android"
    mount: Any = None
    ranges: tuple[float | None, float | None] = (None, None)
    fill_s: float = 0.1
    reset_s: float = 1.0
    reorder_s: float = 0.01


@dataclass
class Sample:
    t: int
    v: np.ndarray
    saturated: bool
    p: int = 0


@dataclass
class Segment:
    epoch: int
    samples: list[Sample]


@dataclass
class Point:
    """A grid point with the samples that were measured in its segment (for the quality)."""

    epoch: int
    g: int
    v: np.ndarray
    segment: Segment


@dataclass
class Dropped:
    repeated: int = 0
    late: int = 0
    invalid: int = 0
    unpaired: int = 0
    short: int = 0


@dataclass
class Result:
    """Windows as (start_ns, end_ns, imu (6, 250) float32, quality by name), and what was dropped; runs are counted."""

    windows: list[tuple[int, int, np.ndarray, dict[str, float | bool]]] = field(default_factory=list)
    dropped: Dropped = field(default_factory=Dropped)
    runs: int = 0
    last_run: int = 0


def windows(parts: list[tuple[Any, Any]], options: Options) -> Result:
    """What came up to each flush: (accelerometer, gyroscope), each (times, values) or (times, values, gravity)."""
    result = Result()
    for part in parts:
        points = []
        for side, pushed in enumerate(part):
            arrived = samples(side, pushed, options, result.dropped)
            segments = ordered(arrived, options, result.dropped)
            made = [grid(segment) for segment in segments]
            result.dropped.short += sum(
                len(segment.samples) for segment, points_of in zip(segments, made, strict=True) if not points_of
            )
            points.append([point for points_of in made for point in points_of])
        cut(pairs(points[0], points[1], result.dropped), options, result)
    return result


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


# -- 1. Samples


def samples(side: int, pushed: Any, options: Options, dropped: Dropped) -> list[Sample]:
    times, values, *gravity = pushed
    factor = {"m/s^2": 1.0, "g": STANDARD_GRAVITY, "rad/s": 1.0, "deg/s": math.pi / 180}[options.units[side]]
    sign = -1.0 if options.convention == "ios" and side == 0 else 1.0
    mount = np.eye(3) if options.mount is None else np.array(options.mount, np.float64)
    large = 1.9 * STANDARD_GRAVITY / factor if side == 0 else 240 * (math.pi / 180) / factor
    limit = options.ranges[side]
    raw = np.array(values, np.float64).reshape(-1, 3)
    if gravity:
        raw = raw + np.array(gravity[0], np.float64).reshape(-1, 3)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are dropped below
        turned = (sign * factor * raw) @ mount.T
    before = np.vstack([np.full((1, 3), np.nan), raw[:-1]])
    full = abs(raw) >= 0.999 * limit if limit is not None else (abs(raw) >= large) & (raw == before)
    valid = (abs(turned) <= 1e5).all(axis=1)
    dropped.invalid += int((~valid).sum())
    return [Sample(int(times[n]), turned[n], bool(full[n].any())) for n in np.flatnonzero(valid)]


# -- 2. Order


def ordered(arrived: list[Sample], options: Options, dropped: Dropped) -> list[Segment]:
    """Epochs by the rules of arrival, each in the order of time, cut into segments."""
    r, z = ns(options.reorder_s), ns(options.reset_s)
    epochs: list[list[Sample]] = []
    newest = horizon = 0
    times: list[int] = []  # of those taken in this epoch, in order
    for sample in arrived:
        t = sample.t
        if not epochs or newest - t > z:
            epochs.append([sample])
            times = [t]
            newest, horizon = t, t - r
            continue
        if t < horizon:
            dropped.late += 1
            continue
        place = bisect.bisect_left(times, t)
        if any(abs(t - other) < MS // 10 for other in times[max(0, place - 1) : place + 1]):
            dropped.repeated += 1
        else:
            times.insert(place, t)
            epochs[-1].append(sample)
        if t > newest:
            horizon = t if t - newest > 2 * r else max(horizon, t - r)
            newest = t
    segments = []
    for epoch, taken in enumerate(epochs):
        taken.sort(key=lambda sample: sample.t)
        for number, sample in enumerate(taken):
            if number == 0 or sample.t - taken[number - 1].t > z:
                segments.append(Segment(epoch, []))
            segments[-1].samples.append(sample)
    return segments


# -- 3. The grid


def period(steps: list[int]) -> int:
    short = [step for step in steps if step <= LONGEST]
    if not short:
        return 50 * MS
    mean, half = sum(short) // len(short), MS // 2
    to = half if mean < 20 * MS else 20_000
    return min(max((mean + to // 2) // to * to, half), 50 * MS)


def grid(segment: Segment) -> list[Point]:
    measured = segment.samples
    if len(measured) < 2:
        return []
    steps = [b.t - a.t for a, b in itertools.pairwise(measured)]
    for begin in (0, *range(97, len(measured), 64)):
        p = period(steps[begin - 65 : begin - 1] if begin else steps[:32])
        for sample in measured[begin : begin + (64 if begin else 97)]:
            sample.p = p
    filled = [measured[0]]
    for a, b in itertools.pairwise(measured):
        d, p = b.t - a.t, b.p
        if 4 * d > 5 * max(20 * MS, p):
            k = -(-d // max(10 * MS, p))
            for i in range(1, k):
                filled.append(Sample(a.t + i * d // k, a.v + (b.v - a.v) * (i / k), False, p))
        filled.append(b)
    t, v = np.array([sample.t for sample in filled]), np.array([sample.v for sample in filled])
    points, first = [], 0
    for g in range(-(-filled[0].t // GRID) * GRID, filled[-1].t + 1, GRID):
        while filled[first].t < g - REACH:
            first += 1
        last, reached = first, filled[first].t + filled[first].p
        while reached <= g + REACH and last < len(filled) - 1:
            last += 1
            reached = max(reached, filled[last].t + filled[last].p)
        paces = [sample.p for sample in filled[first : last + 1]]
        points.append(Point(segment.epoch, g, value(g, t, v, first, last, paces), segment))
    return points


def value(g: int, t: np.ndarray, v: np.ndarray, first: int, last: int, paces: list[int]) -> np.ndarray:
    """The weighted mean of the samples `first` to `last` of a segment at g; `paces` are these samples' p."""
    wide = max(*paces, 20 * MS)
    b = min(6.25, 10 - wide / (8 * MS))
    used = t[first : last + 1]
    before = np.diff(used, prepend=t[first - 1] if first else used[0] - paces[0])
    after = np.diff(used, append=used[-1] + paces[-1])
    away = (used - g).astype(np.float64)
    kaiser = i0(b * np.sqrt(np.maximum(1 - (away / REACH) ** 2, 0))) / i0(b) * (abs(away) <= REACH)
    weights = (before + after) / 2 * np.sinc(away / wide) * kaiser
    return weights @ v[first : last + 1] / sum(weights)


# -- 4. Pairs


def pairs(ours: list[Point], theirs: list[Point], dropped: Dropped) -> list[list[tuple[Point, Point]]]:
    runs: list[list[tuple[Point, Point]]] = []
    queues = (ours, theirs)
    at, shift, waited = [0, 0], [0, 0], 0
    last: tuple[int, int] | None = None
    while at[0] < len(ours) and at[1] < len(theirs):
        heads = [queue[at[side]] for side, queue in enumerate(queues)]
        epochs = [head.epoch + shift[side] for side, head in enumerate(heads)]
        if epochs[0] != epochs[1] and waited == 50:
            shift[epochs[0] > epochs[1]] += abs(epochs[0] - epochs[1])
            continue
        waited = waited + 1 if epochs[0] != epochs[1] else 0
        places = [(epoch, head.g) for epoch, head in zip(epochs, heads, strict=True)]
        if places[0] != places[1]:
            at[places[0] > places[1]] += 1
            dropped.unpaired += 1
            continue
        if last != (epochs[0], heads[0].g - GRID):
            runs.append([])
        runs[-1].append((heads[0], heads[1]))
        last = (epochs[0], heads[0].g)
        at[0] += 1
        at[1] += 1
    dropped.unpaired += sum(len(queue) - done for queue, done in zip(queues, at, strict=True))
    return runs


# -- 5. Windows


def cut(runs: list[list[tuple[Point, Point]]], options: Options, result: Result) -> None:
    hop = round(options.hop_s / 0.02)
    for run in runs:
        result.dropped.short += len(run) if len(run) < 250 else 0
        for start in range(0, len(run) - 249, hop):
            part = run[start : start + 250]
            imu = np.array([np.r_[a.v, b.v] for a, b in part]).T.astype(np.float32)
            quality = measure(part, options) | {"still": still(imu), "after_reset": result.runs != result.last_run}
            result.last_run = result.runs
            result.windows.append((part[0][0].g, part[0][0].g + 250 * GRID, imu, quality))
        result.runs += 1


def measure(part: list[tuple[Point, Point]], options: Options) -> dict[str, float | bool]:
    start, end = part[0][0].g, part[-1][0].g
    uncovered, largest = set(), 0
    rates, jitters, shares = [], [], []
    for side in (0, 1):
        whole = part[0][side].segment.samples
        near = [bisect.bisect_left(whole, edge, key=lambda sample: sample.t) for edge in (start, end)]
        segment = whole[max(0, near[0] - 1) : near[1] + 2]  # those around the window: a minute has many more
        for a, b in itertools.pairwise(segment):
            if b.t < start or a.t >= end:
                continue
            at = [g for g in range(a.t // GRID * GRID + GRID, b.t + 1, GRID) if start <= g <= end]
            if at:
                largest = max(largest, b.t - a.t)
                if b.t - a.t > ns(options.fill_s):
                    uncovered.update(at)
        inside = [sample for sample in segment if start < sample.t <= end]
        rates.append(len(inside) * 50 / 249)
        shares.append(sum(sample.saturated for sample in inside) / len(inside) if inside else 0.0)
        steps = [
            (b.t - a.t) // 1000 for a, b in itertools.pairwise(segment) if start < b.t <= end and b.t - a.t <= LONGEST
        ]
        mean = sum(steps) / len(steps) if steps else 0.0
        jitters.append(math.sqrt(sum((step - mean) ** 2 for step in steps) / len(steps)) / 1000 if steps else 0.0)
    return {
        "coverage": 1 - len(uncovered) / 250,
        "largest_gap_s": largest / 1e9,
        "accelerometer_hz": rates[0],
        "gyroscope_hz": rates[1],
        "jitter_ms": max(jitters),
        "saturated": max(shares),
    }


# -- 6. Stillness


def still(imu: np.ndarray) -> bool:
    spreads = [math.sqrt(sum(float(np.var(axis.astype(np.float64))) for axis in axes)) for axes in (imu[:3], imu[3:])]
    return spreads[0] < 0.06 and spreads[1] < 0.01
