"""For every test: ONNX Runtime's telemetry is off before anything imports it, and one thread is enough."""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# A busy machine is no failure: no test asserts a time.
settings.register_profile("primus", deadline=None)
settings.load_profile("primus")
