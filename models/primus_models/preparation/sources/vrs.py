"""The IMU of a VRS file, as Project Aria's glasses record it, read by projectaria-tools.

Seen in the excerpt that Project Aria publishes for its own tests: streams 1202-1 (imu-right, 1 kHz) and 1202-2
(imu-left, 800 Hz), m/s^2 with gravity (on -x where the head is upright) and rad/s, capture times in nanoseconds, a flag
for each sensor whether the record holds it. Seen of the library (2.1.1): a file cut short is opened, and gives the
records that are whole. Taken from documents: that Ego-Exo4D's files are of this kind.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import DataSetError
from primus_sdk.recordings import Samples

STREAM = "1202-1"
"""The IMU beside the right temple: what PRIMUS was pretrained on."""

_IMU = re.compile(r"1202-[0-9]{1,5}")
_LATEST_NS = 1 << 62
_Records: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64]]  # times (n,), values (n, 6): NaN where invalid


@dataclass(frozen=True, eq=False)
class Imu:
    """One IMU stream: both sensors at the same times, which begin at 0; m/s^2 and rad/s.

    invalid: records left out, since one of the sensors is marked as invalid or not finite.
    """

    accelerometer: Samples
    gyroscope: Samples
    invalid: int

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last record."""
        return self.accelerometer.duration_s


def read(file: Path, stream: str = STREAM) -> Imu:
    """Read one IMU stream whole.

    Raises:
        DataSetError: projectaria-tools is not installed, no VRS file, no such stream in it, or no valid record.
    """
    if not _IMU.fullmatch(stream):
        raise DataSetError(f"the stream is {stream!r}; an IMU's is 1202-1 or 1202-2")
    if not file.is_file():
        raise DataSetError(f"there is no file {file}")
    try:
        with _quiet():
            records = _records(file, stream)
    except DataSetError:
        raise
    # What a damaged file makes the library raise it does not say.
    except Exception as error:
        raise DataSetError(f"{file} cannot be read as VRS ({error}): download it again") from error
    return _imu(records, file, stream)


def _records(file: Path, stream: str) -> _Records:
    """Each record's time, acceleration and rotation rate; into arrays at once, as a take has millions."""
    data_provider, stream_id = _library()
    provider = data_provider.create_vrs_data_provider(str(file))
    if provider is None:
        raise DataSetError(f"{file} is no VRS file, or only its beginning ({file.stat().st_size} bytes)")
    stream_key = stream_id.StreamId(stream)
    count = provider.get_num_data(stream_key) if provider.check_stream_is_active(stream_key) else 0
    if not count:
        there = ", ".join(sorted(map(str, provider.get_all_streams()))) or "none"
        raise DataSetError(f"{file} has no records of the stream {stream} (its streams: {there})")
    times, values = np.zeros(count, np.int64), np.full((count, 6), np.nan)
    for index in range(count):
        one = provider.get_imu_data_by_index(stream_key, index)
        if one.accel_valid and one.gyro_valid and abs(one.capture_timestamp_ns) < _LATEST_NS:
            times[index] = one.capture_timestamp_ns
            values[index, :3], values[index, 3:] = one.accel_msec2, one.gyro_radsec
    return times, values


def _imu(records: _Records, file: Path, stream: str) -> Imu:
    times, values = records
    good = np.isfinite(values).all(axis=1)
    if not good.any():
        raise DataSetError(f"{file}: none of the {len(times)} records of the stream {stream} is valid")
    times, values = times[good], values[good]
    times -= times[0]
    return Imu(Samples(times, values[:, :3]), Samples(times, values[:, 3:]), int(np.count_nonzero(~good)))


def _library() -> tuple[Any, Any]:
    try:
        from projectaria_tools.core import data_provider, stream_id
    except ImportError as error:
        raise DataSetError(
            f"reading VRS needs projectaria-tools ({error}): pip install 'primus-imu[prepare]'"
        ) from error
    return data_provider, stream_id


@contextmanager
def _quiet() -> Iterator[None]:
    """Send what the library prints elsewhere: a dozen lines a file, past Python, and no setting for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    held = []
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for place in (1, 2):
            held.append((os.dup(place), place))
            os.dup2(nowhere, place)
        yield
    finally:
        for kept, place in held:
            os.dup2(kept, place)
            os.close(kept)
        os.close(nowhere)
