"""What a head is, in words and as JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from primus_sdk.heads.head import Head
from primus_sdk.heads.store import StoredHead

UPSIDE_DOWN = math.cos(math.radians(135))
"""A mount that turns up by more is a half turn about z and a smaller one, as `mount.aligning` makes it."""


def text(head: Head) -> str:
    """A head's labels and counts, date, encoder and mount, a line each."""
    counts = head.counts or {}
    width = max(map(len, head.labels))
    labels = "\n".join(f"  {label:<{width}}  {counts.get(label, 0):6d} windows" for label in head.labels)
    lines = [
        f"labels       {len(head.labels)}",
        labels,
        f"fitted       {head.created}",
        f"encoder      {head.encoder_sha256}",
        f"temperature  {head.temperature:g}",
        f"mount        {_mount_words(head)}",
    ]
    return "\n".join(lines)


def as_json(head: Head) -> dict[str, Any]:
    """The same, for JSON."""
    return {
        "labels": list(head.labels),
        "counts": dict(head.counts or {}),
        "created": head.created,
        "encoder_sha256": head.encoder_sha256,
        "temperature": head.temperature,
        "mount": None if head.mount is None else head.mount.tolist(),
    }


def version_line(version: StoredHead) -> str:
    """One version of a store in one line."""
    mark = "*" if version.current else " "
    if version.head is None:
        return f"{mark} {version.version:4d}  damaged: {version.damage}"
    head = version.head
    windows = sum((head.counts or {}).values())
    return f"{mark} {version.version:4d}  {head.created}  {windows:6d} windows  {', '.join(head.labels)}"


def version_as_json(version: StoredHead) -> dict[str, Any]:
    """One version of a store, for JSON."""
    known = {"damage": version.damage} if version.head is None else as_json(version.head)
    return {"version": version.version, "current": version.current} | known


def _mount_words(head: Head) -> str:
    """How the glasses sit: the direction that was up on them, against the training data's, where y points up."""
    if head.mount is None:
        return "none"
    x, y, z = np.asarray(head.mount)[1]  # the mount turns this direction into REFERENCE_GRAVITY, (0, 1, 0)
    turned = ""
    if y < UPSIDE_DOWN:
        x, y, turned = -x, -y, "upside down, "
    pitch, roll = (math.degrees(math.atan2(side, y)) for side in (x, z))
    return f"{turned}pitch {pitch:.1f}, roll {roll:.1f} degrees (in the x-y and the z-y plane; gravity shows no yaw)"
