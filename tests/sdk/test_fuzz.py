"""A small share of `make fuzz`, so that it keeps running and what it once found stays mended."""

from __future__ import annotations

import warnings

import fuzz
import pytest


@pytest.mark.parametrize("target", fuzz.NAMES)
def test_broken_inputs_give_typed_errors_only(target: str) -> None:
    lines: list[str] = []
    with warnings.catch_warnings():
        failures = fuzz.run(400, 1, [target], report=lines.append)
    assert failures == 0, "\n".join(lines)
    assert any("Error" in line for line in lines[:-1])
