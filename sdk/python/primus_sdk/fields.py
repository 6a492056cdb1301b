"""JSON read with its types: each wrong value is an error that names the field, what stood there and what should."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

from primus_sdk.errors import PrimusError

_NOTHING: Final = object()


def parse_json(content: bytes, where: str, error: type[PrimusError]) -> Any:
    """UTF-8 JSON of any type; unlike `json.loads`, duplicate keys and NaN are refused.

    Raises:
        error: the content is not strict JSON.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a key stands twice in one object")
        return result

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(content.decode(), object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError) as cause:
        raise error(f"{where} is not JSON ({cause}); is it whole?") from cause


class Fields:
    """One JSON value, and where it stands, for typed access to what is inside."""

    def __init__(self, value: Any, where: str, error: type[PrimusError]) -> None:
        """Wrap `value`; `where` begins every message, as in `manifest.json: models[0]`."""
        self._value = value
        self._where = where
        self._error = error

    def __getitem__(self, key: str) -> Fields:
        """The field of that name, which must be there."""
        value = self._object().get(key, _NOTHING)
        if value is _NOTHING:
            raise self._error(f"{self._where} lacks the field {key!r}")
        return Fields(value, f"{self._where}{'.' if self._nested else ' '}{key}", self._error)

    def optional(self, key: str) -> Fields | None:
        """The field of that name; none when it is absent or null."""
        return self[key] if self._object().get(key) is not None else None

    def items(self) -> Iterator[tuple[str, Fields]]:
        """The fields of an object, in order."""
        return ((key, self[key]) for key in self._object())

    def elements(self) -> Iterator[Fields]:
        """The elements of a list, in order."""
        if not isinstance(self._value, list):
            raise self._wrong("a list")
        return (Fields(value, f"{self._where}[{i}]", self._error) for i, value in enumerate(self._value))

    def text(self) -> str:
        """A string that is not empty."""
        if not isinstance(self._value, str) or not self._value:
            raise self._wrong("a text")
        return self._value

    def integer(self, least: int | None = None) -> int:
        """A whole number, at least `least`."""
        if type(self._value) is not int or (least is not None and self._value < least):
            raise self._wrong("a whole number" if least is None else f"a whole number, at least {least}")
        return self._value

    def number(self) -> float:
        """A finite number."""
        try:
            number = float(self._value) if type(self._value) in (int, float) else math.nan
        except OverflowError:  # a whole number of hundreds of digits
            number = math.inf
        if not math.isfinite(number):
            raise self._wrong("a finite number")
        return number

    def mapping(self) -> dict[str, Any]:
        """An object, as it is."""
        return self._object()

    def plain(self) -> Any:
        """The value, as it is."""
        return self._value

    def choice(self, *choices: Any) -> Any:
        """One of the choices, with its type."""
        for choice in choices:
            if type(self._value) is type(choice) and self._value == choice:
                return choice
        raise self._wrong(" or ".join(map(repr, choices)))

    def fail(self, expected: str) -> PrimusError:
        """The error for a value that has the right type and still cannot be; for the caller to raise."""
        return self._wrong(expected)

    @property
    def _nested(self) -> bool:
        return " " in self._where

    def _object(self) -> dict[str, Any]:
        if not isinstance(self._value, dict):
            raise self._wrong("an object")
        return self._value

    def _wrong(self, expected: str) -> PrimusError:
        found = json.dumps(self._value, default=repr)
        found = found if len(found) <= 60 else f"{found[:57]}..."
        return self._error(f"{self._where} is {found}; expected {expected}")
