"""One window as a JSON object, the same for every source.

    {"recording": "walking/stroll.csv",   the recording's name, or "stdin"
     "user": "3", "true": "walking",      where they are known
     "start_s": 12.0,                     since the recording began; live: since its first window
     "start_ns": 1700000000000000000, "end_ns": 1700000005000000000,
     "label": "walking",                  null where it was rejected (--reject-below)
     "likeliest": "walking", "probability": 0.93, "probabilities": {"walking": 0.93, "sitting": 0.07},
     "held": false,                       true where the rest gate repeats an earlier window (--rest-gate)
     "quality": {"coverage": 1.0, "largest_gap_s": 0.01, "accelerometer_hz": 100.0, "gyroscope_hz": 100.0,
                 "jitter_ms": 0.2, "saturated": 0.0, "still": false, "after_reset": false}}

Without a head, "embedding" (512 numbers) stands where label, likeliest, probability and probabilities would. With
--dataset each line has an "event" too: one "begin" (who is calibrated on and who is streamed), the windows, and one
"summary" (windows, accuracy, macro_f1, chance, and the F1 of each label).
"""

from __future__ import annotations

from typing import Any

from primus_sdk.commands._session import Step


def record(step: Step) -> dict[str, Any]:
    """A window as the object above."""
    take, window, prediction = step.take, step.recognition.window, step.recognition.prediction
    who = {name: value for name, value in (("user", take.user), ("true", take.true)) if value is not None}
    times = {"start_s": round(step.start_s, 3), "start_ns": window.start_ns, "end_ns": window.end_ns}
    quality = {
        name: round(value, 6) if isinstance(value, float) else value for name, value in window.quality._asdict().items()
    }
    said: dict[str, Any]
    if prediction is None:
        said = {"embedding": [round(float(x), 6) for x in step.recognition.embedding]}
    else:
        said = {
            "label": prediction.label,
            "likeliest": prediction.likeliest,
            "probability": round(prediction.probability, 4),
            "probabilities": {label: round(p, 4) for label, p in prediction.probabilities.items()},
        }
    return {"recording": take.name, **who, **times, **said, "held": step.recognition.held, "quality": quality}


def remark(step: Step) -> str:
    """What a person should know of a window beside its label, in a few words; mostly nothing."""
    quality = step.recognition.window.quality
    words = [f"{quality.coverage:.0%} measured"] if quality.coverage < 1 else []
    words += [f"{quality.saturated:.0%} saturated"] if quality.saturated > 0 else []
    words += ["started anew"] if quality.after_reset else []
    words += [f"{min(quality.accelerometer_hz, quality.gyroscope_hz):.0f} Hz"] if quality.undersampled else []
    words += ["at rest, held"] if step.recognition.held else ["still"] if quality.still else []
    return ", ".join(words)
