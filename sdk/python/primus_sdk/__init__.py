"""PRIMUS on the device: what a head-worn IMU's wearer is doing, from 5 s windows, with nothing leaving the device.

import primus_sdk

with primus_sdk.load() as recogniser:
    recogniser.calibrate(windows, labels)  # (n, 6, 250), m/s^2 and rad/s at 50 Hz; a few shots of each activity
    stream = recogniser.stream(hop=1.0)
    for recognition in stream.push(timestamps_ns, rows):
        print(recognition.prediction.label)
"""

from typing import TYPE_CHECKING, Any

from primus_sdk.errors import (
    BundleError,
    BundleNotFoundError,
    CalibrationError,
    ClosedError,
    HeadError,
    OutputError,
    PrimusError,
    PrimusWarning,
    RecordingError,
    RuntimeMismatchError,
    RuntimeUnavailableError,
    StreamError,
    WindowError,
)
from primus_sdk.heads.head import Head
from primus_sdk.heads.prediction import Prediction
from primus_sdk.recogniser import Recogniser, load
from primus_sdk.streaming.recognition import Counts, Recognition
from primus_sdk.streaming.stream import Stream
from primus_sdk.windowing.quality import Dropped, FaultPolicy, Quality
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import Window, WindowStream

if TYPE_CHECKING:
    from primus_sdk.calibration.calibrator import Calibrator
    from primus_sdk.calibration.mount import MountLearner
    from primus_sdk.calibration.pose import Pose, check_pose
    from primus_sdk.heads.store import HeadStore
    from primus_sdk.recordings import Recording, Samples
    from primus_sdk.streaming.live import Live
    from primus_sdk.streaming.replay import Replay
else:
    # Not for every start: imported when first asked for.
    _LATER = {
        "Calibrator": "calibration.calibrator",
        "HeadStore": "heads.store",
        "Live": "streaming.live",
        "MountLearner": "calibration.mount",
        "Pose": "calibration.pose",
        "Recording": "recordings",
        "Replay": "streaming.replay",
        "Samples": "recordings",
        "check_pose": "calibration.pose",
    }

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)


__version__ = "0.1.0"

__all__ = [
    "BundleError",
    "BundleNotFoundError",
    "CalibrationError",
    "Calibrator",
    "ClosedError",
    "Counts",
    "Dropped",
    "FaultPolicy",
    "Head",
    "HeadError",
    "HeadStore",
    "Live",
    "MountLearner",
    "OutputError",
    "Pose",
    "Prediction",
    "PrimusError",
    "PrimusWarning",
    "Quality",
    "Recogniser",
    "Recognition",
    "Recording",
    "RecordingError",
    "Replay",
    "RuntimeMismatchError",
    "RuntimeUnavailableError",
    "Samples",
    "Sensors",
    "Stream",
    "StreamError",
    "Window",
    "WindowError",
    "WindowStream",
    "check_pose",
    "load",
]
