"""A trial on a data set: calibrate a head on some people, then stream the others through it as if live."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from primus_sdk.calibration.admission import LEAST_COVERAGE
from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording
from primus_sdk.recordings.windows import windows_of
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import Window


def people(recordings: list[Recording]) -> list[str]:
    """Who wore the sensor, shorter names first, so that 2 comes before 10."""
    return sorted({recording.user for recording in recordings}, key=lambda user: (len(user), user))


def split(recordings: list[Recording], seed: int, provenance: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Split the people into those to calibrate on and those to stream.

    Where the encoder's provenance names the people that its own training held out, these are streamed, so that neither
    encoder nor head has seen them; else a third, drawn by the seed.

    Raises:
        RecordingError: there are fewer than two people.
    """
    users = people(recordings)
    if len(users) < 2:
        raise RecordingError(
            f"recordings of {len(users)} person are there; two or more are needed to test on the unseen"
        )
    held_out = provenance.get("users_held_out")
    if isinstance(held_out, list | tuple) and set(held_out) & set(users) and set(users) - set(held_out):
        unseen = [user for user in users if user in held_out]
    else:
        drawn = np.random.default_rng(seed).permutation(len(users))[: max(1, len(users) // 3)]
        unseen = [users[position] for position in sorted(drawn)]
    return [user for user in users if user not in unseen], unseen


def shots(
    recordings: list[Recording], count: int, seed: int, sensors: Sensors = Sensors()
) -> tuple[list[Window], list[str]]:
    """Draw up to `count` windows of each label, side by side, spread evenly over the people.

    Raises:
        RecordingError: no label has a window, or none that was measured well enough.
    """
    poor = 0
    by_label: dict[str, dict[str, list[Window]]] = defaultdict(lambda: defaultdict(list))
    for recording in sorted(recordings, key=lambda recording: recording.name):
        found = windows_of(recording, 5.0, sensors)
        windows = [window for window in found if window.quality.coverage >= LEAST_COVERAGE]
        poor += len(found) - len(windows)
        by_label[recording.label][recording.user] += windows
    random = np.random.default_rng(seed)
    taken: list[Window] = []
    labels: list[str] = []
    for label, by_user in sorted(by_label.items()):
        shuffled = [[windows[i] for i in random.permutation(len(windows))] for windows in by_user.values()]
        random.shuffle(shuffled)
        longest = min(count, max(map(len, shuffled)))  # any count may be asked for
        turns = [windows[turn] for turn in range(longest) for windows in shuffled if turn < len(windows)][:count]
        taken += turns
        labels += [label] * len(turns)
    if not taken and poor:
        raise RecordingError(
            f"none of {poor} windows was measured for {LEAST_COVERAGE:.0%} of its 5 s: the samples have gaps, or are "
            "fewer than 20 a second"
        )
    if not taken:
        raise RecordingError("no recording is long enough for one window of 5 s")
    return taken, labels
