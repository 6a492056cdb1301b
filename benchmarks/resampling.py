"""What the resampler does to a signal, measured: gain in the passband, damping above it, delay, and what jitter costs.

    python benchmarks/resampling.py
    python benchmarks/resampling.py --plot resampling.png
    python benchmarks/resampling.py --json

Sines go through `primus_sdk.WindowStream` as a sensor would deliver them; the windows are compared with the sines'
true values on the 50 Hz grid. Nothing here is timed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_sdk.windowing.windows import WindowStream

RATES = (20, 25, 33, 50, 69, 100, 104, 200, 400, 1000)
JITTERS_MS = (1.0, 2.0, 4.0, 5.0)
SECONDS = 22
Array = NDArray[np.float64]


def sampled(rate: float, jitter_ms: float, seed: int = 0) -> NDArray[np.int64]:
    """Times of a sensor, off the grid by a part of a millisecond; each moved by up to the jitter."""
    times = 317_043 + np.round(np.arange(int(SECONDS * rate)) * 1e9 / rate)
    jitter = np.random.default_rng(seed).uniform(-jitter_ms, jitter_ms, len(times)) * 1e6
    return np.unique((times + jitter).astype(np.int64))


def through(times: NDArray[np.int64], values: Array) -> tuple[Array, Array]:
    """The grid times (s) and values of three channels (n, 3) after the stream, away from its ends."""
    stream = WindowStream(5.0)
    windows = stream.push(times, np.hstack([values, values])) + stream.flush()
    middle = windows[1:-1]
    seconds = np.concatenate([window.start_ns / 1e9 + np.arange(250) / 50 for window in middle])
    return seconds, np.concatenate([window.imu[:3].T.astype(np.float64) for window in middle])


def response(rate: float, frequency: float, jitter_ms: float = 0.0) -> complex:
    """Gain and phase of a sine: what is left of it at its own (or its mirrored) frequency, as a complex number."""
    times = sampled(rate, jitter_ms)
    turns = 2 * np.pi * frequency
    sine = np.sin(turns * times[:, None] / 1e9 + np.array([0.0, 2.0, 4.0]))
    seconds, values = through(times, sine)
    basis = np.stack([np.sin(turns * seconds), np.cos(turns * seconds)], axis=1)
    sine_part, cosine_part = np.linalg.lstsq(basis, values[:, 0], rcond=None)[0]
    return complex(sine_part, cosine_part)


def damping(rate: float, frequency: float) -> float:
    """RMS of what comes out of a sine of this frequency, by the RMS of the sine."""
    times = sampled(rate, 0.0)
    _, values = through(times, np.sin(2 * np.pi * frequency * times[:, None] / 1e9 + np.array([0.0, 2.0, 4.0])))
    return float(np.sqrt(np.mean(values**2) / 0.5))


def error(rate: float, jitter_ms: float, highest: float) -> float:
    """RMS of the difference to the truth, by the RMS of the truth: twenty sines up to `highest` hertz."""
    random = np.random.default_rng(1)
    frequencies, phases = random.uniform(0.2, highest, 20), random.uniform(0, 2 * np.pi, (3, 20))

    def truth(seconds: Array) -> Array:
        return np.stack([np.sin(2 * np.pi * np.outer(seconds, frequencies) + p).sum(axis=1) for p in phases], axis=1)

    times = sampled(rate, jitter_ms, seed=2)
    seconds, values = through(times, truth(times / 1e9))
    expected = truth(seconds)
    return float(np.sqrt(np.mean((values - expected) ** 2) / np.mean(expected**2)))


def measure(rate: float) -> dict[str, Any]:
    """All figures of one rate."""
    highest = min(15.0, 0.3 * rate)  # as far as the passband reaches
    tones = np.linspace(0.5, highest, 12)
    responses = [response(rate, float(tone)) for tone in tones]
    stop = [f for f in (36.0, 40.5, 45.5, 61.0, 80.5, 120.5) if f < rate / 2]
    return {
        "rate_hz": rate,
        "passband_hz": highest,
        "ripple": max(abs(abs(r) - 1) for r in responses),
        "delay_us": max(abs(np.angle(r)) / (2 * np.pi * tone) * 1e6 for r, tone in zip(responses, tones, strict=True)),
        "stopband": max((damping(rate, f) for f in stop), default=None),
        "error_steady": error(rate, 0.0, min(14.0, 0.16 * rate)),
        "error_jitter_5hz": {f"{j:g}": error(rate, j, min(5.0, 0.16 * rate)) for j in JITTERS_MS},
    }


def draw(path: Path) -> None:
    """Gain over frequency for several rates, as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for rate in (25, 50, 100, 200):
        tones = np.arange(0.5, min(60.0, rate / 2), 0.75)
        axes.plot(tones, [20 * np.log10(max(damping(rate, float(f)), 1e-6)) for f in tones], label=f"{rate} Hz")
    axes.set(
        xlabel="frequency, Hz", ylabel="gain, dB", title="Resampling to 50 Hz, by the sensor's rate", ylim=(-90, 5)
    )
    axes.axvline(25, color="0.7", linewidth=1)
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--plot", type=Path, help="draw the gain over frequency (PNG)")
    options = parser.parse_args()
    rows = []
    for rate in RATES:
        if not options.json:
            print(f"measuring {rate} Hz", file=sys.stderr)
        rows.append(measure(rate))
    if options.plot:
        draw(options.plot)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print("rate    passband to  ripple    delay      above 35 Hz  error, steady  error up to 5 Hz with jitter of +-")
    print(f"{'':70}{''.join(f'{j:g} ms'.rjust(9) for j in JITTERS_MS)}")
    for row in rows:
        stop = "-" if row["stopband"] is None else f"{row['stopband']:.1e}"
        jitter = "".join(f"{value:9.1e}" for value in row["error_jitter_5hz"].values())
        print(
            f"{row['rate_hz']:4d} Hz  {row['passband_hz']:7.1f} Hz  {row['ripple']:.1e}  {row['delay_us']:6.1f} us  "
            f"{stop:>11}  {row['error_steady']:13.1e}  {jitter}"
        )


if __name__ == "__main__":
    main()
