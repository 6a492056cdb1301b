"""ONNX Runtime's own telemetry, turned off before that library loads.

ONNX Runtime 1.29 and later reports to its maker by default: a session writes a device id and a database under
the user's cache folder. The variable below, set before the library loads, leaves nothing; no later call does.
"""

from __future__ import annotations

import os
import re
import sys
import warnings

from primus_sdk.errors import PrimusWarning

VARIABLE = "ORT_DISABLE_TELEMETRY"
FIRST_WITH_TELEMETRY = (1, 29)


def disable() -> None:
    """Turn ONNX Runtime's telemetry off for this process and its children; call it before `import onnxruntime`.

    Warns, once:
        PrimusWarning: the program had loaded an onnxruntime that has telemetry, without the variable being set.
    """
    if os.environ.get(VARIABLE) == "1":
        return
    os.environ[VARIABLE] = "1"
    if _loaded_with_telemetry():
        warnings.warn(
            "onnxruntime was loaded before PRIMUS could turn its telemetry off, and may write a device id and "
            f"report to its maker; set {VARIABLE}=1 in the environment before onnxruntime is imported, "
            "or call primus_sdk.load() before that import",
            PrimusWarning,
            stacklevel=3,
        )


def _loaded_with_telemetry() -> bool:
    library = sys.modules.get("onnxruntime")
    if library is None:
        return False
    version = re.match(r"(\d+)\.(\d+)", str(getattr(library, "__version__", "")))
    # A version that cannot be read is taken for a new one: a warning too many is the smaller harm.
    return version is None or (int(version[1]), int(version[2])) >= FIRST_WITH_TELEMETRY
