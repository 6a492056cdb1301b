"""The published JSON Schema of the manifest, against which every bundle is checked before it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from primus_export.errors import MissingToolError

_PACKAGED = Path(__file__).parent / "spec"
_CHECKOUT = Path(__file__).parents[2] / "sdk" / "spec"


def manifest_schema() -> dict[str, Any]:
    """`sdk/spec/manifest.schema.json`: beside the package when installed from a wheel, in the checkout otherwise."""
    folder = _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT
    schema: dict[str, Any] = json.loads((folder / "manifest.schema.json").read_text("utf-8"))
    return schema


def check_manifest(manifest: dict[str, Any]) -> None:
    """Hold a manifest that is about to be written against the schema.

    One that does not fit is a defect of ours, never of a user's input: jsonschema's ValidationError is let through.

    Raises:
        MissingToolError: jsonschema is not installed.
    """
    try:
        import jsonschema
    except ImportError as error:
        raise MissingToolError(
            "jsonschema is not installed; the exporters come with: pip install 'primus-imu[export]'"
        ) from error
    jsonschema.validate(manifest, manifest_schema())
