"""The card that goes into every bundle: what this is, how close to the original, under which licence, how to run it."""

from __future__ import annotations

import json
from typing import Any

from primus_models.checkpoint import Checkpoint

_CARD = """\
# {name}: a PRIMUS encoder for head-worn IMUs

Five seconds of accelerometer (m/s^2, gravity included) and gyroscope (rad/s) at 50 Hz go in as `imu`, `(1, 6, 250)`; a
512-number `embedding` comes out{head}. Architecture `{architecture}`, encoder sha256 `{sha256}`.

```python
import primus_sdk

with primus_sdk.load("path/to/this/bundle") as recogniser:
    embedding = recogniser.embed(window)
```

## The files beside the original

Measured when this bundle was written, against the float64 reference.

| file | precision | input/output | windows | smallest cosine | largest difference / RMS | bound |
|---|---|---|---|---|---|---|
{rows}

## Licence and provenance

Licence: {licence}.

```json
{provenance}
```
"""


def model_card(checkpoint: Checkpoint, manifest: dict[str, Any]) -> str:
    """The card as Markdown, from the checkpoint and the manifest's parity reports."""
    return _CARD.format(
        name=checkpoint.name,
        head=" and, by the head that is built in, class `probabilities`" if manifest["head"] else "",
        architecture=checkpoint.architecture,
        sha256=checkpoint.sha256,
        rows="\n".join(_row(model) for model in manifest["models"]),
        licence=checkpoint.licence,
        provenance=json.dumps(checkpoint.provenance, indent=2, sort_keys=True, ensure_ascii=False),
    )


def _row(model: dict[str, Any]) -> str:
    parity = model["parity"]
    ((kind, value),) = parity["bound"].items()
    bound = f"{kind} {value:g}" + (" (lowered)" if parity["bound_lowered"] else "")
    return (
        f"| `{model['path']}` | {model['precision']} | {model['io']} | {parity['windows']} {parity['source']} "
        f"| {parity['min_cosine']:.6f} | {parity['max_difference_rms']:.2g} | {bound} |"
    )
