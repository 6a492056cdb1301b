"""For every test: ONNX Runtime's telemetry is off before anything imports it, and one thread is enough."""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
