"""PRIMUS on the device: what a head-worn IMU's wearer is doing, from 5 s windows, with nothing leaving the device.

import primus_sdk

with primus_sdk.load() as recogniser:
    recogniser.calibrate(windows, labels)  # (n, 6, 250), m/s^2 and rad/s at 50 Hz; a few shots of each activity
    stream = recogniser.stream(hop=1.0)
    for recognition in stream.push(timestamps_ns, rows):
        print(recognition.prediction.label)
"""

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
from primus_sdk.head import Head
from primus_sdk.prediction import Prediction
from primus_sdk.quality import Dropped, FaultPolicy, Quality
from primus_sdk.recogniser import Recogniser, load
from primus_sdk.sensors import Sensors
from primus_sdk.stream import Recognition, Stream
from primus_sdk.windows import Window, WindowStream

__version__ = "0.1.0"

__all__ = [
    "BundleError",
    "BundleNotFoundError",
    "CalibrationError",
    "ClosedError",
    "Dropped",
    "FaultPolicy",
    "Head",
    "HeadError",
    "OutputError",
    "Prediction",
    "PrimusError",
    "PrimusWarning",
    "Quality",
    "Recogniser",
    "Recognition",
    "RecordingError",
    "RuntimeMismatchError",
    "RuntimeUnavailableError",
    "Sensors",
    "Stream",
    "StreamError",
    "Window",
    "WindowError",
    "WindowStream",
    "load",
]
