"""The index of a head store: which heads there are, and which were current one after the other."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from primus_sdk.errors import HeadError
from primus_sdk.fields import Fields, parse_json

INDEX = "index.json"
FORMAT = "primus-head-store"
SCHEMA_VERSION = 1
_MAX_BYTES = 1 << 20
LAST_VERSION = 999_999_998
"""A version has up to nine digits, and so has the one after it, which the index names as the next."""


@dataclass(frozen=True)
class Entry:
    """One head: its version, and the sha256 of its file."""

    version: int
    sha256: str


@dataclass(frozen=True)
class Index:
    """What a store holds.

    Attributes:
        entries: the heads that are there, by version.
        trail: the versions that were current, in turn; the last is so now. A version that was rolled back from is not
            in it any more.
        next_version: what the next head to be saved is called; no number is given twice.
    """

    entries: tuple[Entry, ...] = ()
    trail: tuple[int, ...] = ()
    next_version: int = 1

    def find(self, version: int | None) -> Entry:
        """The head of a version; of none, the current one.

        Raises:
            HeadError: there is no such version.
        """
        if not self.trail:
            raise HeadError("no whole head is in the store; calibrate one and save it")
        wanted = self.trail[-1] if version is None else version
        for entry in self.entries:
            if entry.version == wanted:
                return entry
        there = ", ".join(str(entry.version) for entry in self.entries)
        raise HeadError(f"there is no version {wanted} in the store; there are {there}")

    def with_current(self, entry: Entry, keep: int) -> Index:
        """With one head more, the current one; of the others at most `keep` - 1 stay."""
        entries, trail = (*self.entries, entry), (*self.trail, entry.version)
        # Those that were rolled back from go first, then those that were current longest ago; never the current one.
        turn = {version: place for place, version in enumerate(trail)}
        order = sorted(entries[:-1], key=lambda other: (turn.get(other.version, -1), other.version))
        gone = {other.version for other in order[: max(0, len(entries) - keep)]}
        return Index(
            tuple(other for other in entries if other.version not in gone),
            tuple(version for version in trail if version not in gone),
            entry.version + 1,
        )

    def rolled_back(self, version: int) -> Index:
        """With another of its heads as the current one: back along the trail, or onwards to one that is not on it."""
        trail = self.trail
        trail = trail[: trail.index(version) + 1] if version in trail else (*trail, version)
        return replace(self, trail=trail)

    def to_bytes(self) -> bytes:
        """The index as JSON, with its own sha256."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "heads": [{"version": entry.version, "sha256": entry.sha256} for entry in self.entries],
            "trail": list(self.trail),
            "next_version": self.next_version,
        }
        return (json.dumps({**content, "sha256": _sha256(content)}, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Index:
        """Read an index.

        Raises:
            HeadError: no index, of a newer schema, truncated, or altered in any byte.
        """
        cls.check_version(content)
        damaged = HeadError(
            "the index is damaged; roll_back(), or primus-calibrate roll-back, makes it anew from the heads that are "
            "there"
        )
        if len(content) > _MAX_BYTES:
            raise damaged
        try:
            fields = Fields(parse_json(content, INDEX, HeadError), INDEX, HeadError)
            index = cls(
                tuple(
                    Entry(entry["version"].integer(least=1), entry["sha256"].text())
                    for entry in fields["heads"].elements()
                ),
                tuple(version.integer(least=1) for version in fields["trail"].elements()),
                fields["next_version"].integer(least=1),
            )
        except HeadError as error:
            raise damaged from error
        # There is one spelling of an index: whatever byte differs, it was altered.
        if index.to_bytes() != content:
            raise damaged
        versions = [entry.version for entry in index.entries]
        if (
            not set(index.trail) <= set(versions)
            or versions != sorted(set(versions))
            or not max(versions, default=0) < index.next_version <= LAST_VERSION + 1
        ):
            raise damaged
        return index

    @staticmethod
    def check_version(content: bytes) -> None:
        """Refuse an index that a newer version wrote and sealed; what is damaged passes here.

        Raises:
            HeadError: it has a newer schema.
        """
        try:
            fields = parse_json(content[: _MAX_BYTES + 1], INDEX, HeadError)
        except HeadError:
            return
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            return
        stated = fields.pop("sha256", "")
        if fields.get("schema_version") != SCHEMA_VERSION and stated == _sha256(fields):
            raise HeadError(
                f"the head store has schema {fields.get('schema_version')!r}, this version reads {SCHEMA_VERSION}: "
                "upgrade primus-imu"
            )


def _sha256(content: dict[str, Any]) -> str:
    """Over the index without it, as JSON with sorted keys and no spaces, in UTF-8."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
