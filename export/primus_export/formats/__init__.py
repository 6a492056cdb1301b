"""One folder or file a format, found by name; each defines `FORMAT`, a `primus_export.formats.base.Format`."""

from __future__ import annotations

import importlib
from typing import cast

from primus_export.errors import ExportError
from primus_export.formats.base import Format

NAMES = ("onnx", "tflite", "coreml")


def get(name: str) -> Format:
    """The format of that name, its tools imported only now.

    Raises:
        ExportError: there is no such format.
        MissingToolError: a tool that it needs is not installed.
    """
    if name not in NAMES:
        raise ExportError(f"unknown format {name!r}; there are: {', '.join(NAMES)}")
    return cast(Format, importlib.import_module(f"{__name__}.{name}").FORMAT)
