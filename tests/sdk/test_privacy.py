"""Nothing leaves the device, and nothing stays on it: no socket, no file, no telemetry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from primus_sdk import PrimusWarning, telemetry

SCRIPT = """
import json, os, sys
events = []
def audit(event, arguments):
    if event.startswith("socket.") or event in ("os.system", "subprocess.Popen", "os.posix_spawn", "urllib.Request"):
        events.append([event, repr(arguments)])
    if event == "open" and len(arguments) == 3:
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            events.append([event, repr(arguments)])
sys.addaudithook(audit)
import numpy as np
import primus_sdk
windows = np.load(sys.argv[2])
with primus_sdk.load(sys.argv[1]) as recogniser:
    recogniser.embed(windows)
    recogniser.calibrate(windows, ["a", "b"] * (len(windows) // 2))
    label = recogniser.predict(windows[0]).label
sockets = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
           if os.path.exists(f"/proc/self/fd/{fd}")] if os.path.isdir("/proc/self/fd") else []
print(json.dumps({"events": events, "sockets": [s for s in sockets if s.startswith("socket:")], "label": label,
                  "telemetry": os.environ.get("ORT_DISABLE_TELEMETRY")}))
"""
XDG = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


def namespace_without_network() -> list[str]:
    """The command that runs another one without any interface; empty where the system does not allow it."""
    unshare = shutil.which("unshare")
    for options in (["-n"], ["-r", "-n"]):
        command = [unshare or "unshare", *options]
        if unshare and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    return []


@pytest.mark.parametrize("isolated", [False, True])
def test_load_predict_and_calibrate_open_no_socket_and_leave_no_file(
    isolated: bool, folder: Path, made: SimpleNamespace, tmp_path: Path
) -> None:
    prefix = namespace_without_network() if isolated else []
    if isolated and not prefix:
        pytest.skip("a network namespace cannot be made here")
    np.save(tmp_path / "windows.npy", made.windows(6))
    home = tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != telemetry.VARIABLE and not k.startswith("XDG_")}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {name: str(home / name.lower()) for name in XDG}
    arguments = [str(folder), str(tmp_path / "windows.npy")]
    result = subprocess.run(
        [*prefix, sys.executable, "-W", "error::UserWarning", "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=home,
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["events"] == []
    assert report["sockets"] == []
    assert report["label"] in ("a", "b")
    assert report["telemetry"] == "1"
    assert list(home.rglob("*")) == []


def test_the_audit_sees_what_it_looks_for(folder: Path, made: SimpleNamespace, tmp_path: Path) -> None:
    np.save(tmp_path / "windows.npy", made.windows(6))
    guilty = SCRIPT.replace(
        "label = ", f"import socket; s = socket.socket(); open({str(tmp_path / 'left')!r}, 'w'); label = ", 1
    )
    command = [sys.executable, "-c", guilty, str(folder), str(tmp_path / "windows.npy")]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert {event for event, _ in report["events"]} == {"socket.__new__", "open"}
    assert len(report["sockets"]) == 1 or sys.platform != "linux"


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program that has not loaded onnxruntime, nor set anything."""
    monkeypatch.delenv(telemetry.VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)


def stand_in(version: str | None) -> ModuleType:
    module = ModuleType("onnxruntime")
    if version is not None:
        module.__version__ = version  # type: ignore[attr-defined]
    return module


@pytest.mark.usefixtures("unset")
def test_telemetry_is_off_before_the_library_loads() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        telemetry.disable()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("version", ["1.29.0", "1.32.0", "2.0", None])
def test_a_program_that_loaded_onnxruntime_first_is_warned_once(
    version: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in(version))
    with pytest.warns(PrimusWarning, match="set ORT_DISABLE_TELEMETRY=1 in the environment before"):
        telemetry.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        telemetry.disable()


@pytest.mark.usefixtures("unset")
def test_no_warning_where_there_is_no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setitem(sys.modules, "onnxruntime", stand_in("1.28.0"))
        telemetry.disable()
        monkeypatch.setitem(sys.modules, "onnxruntime", stand_in("1.32.0"))
        monkeypatch.setenv(telemetry.VARIABLE, "1")
        telemetry.disable()


def test_a_real_program_that_loaded_onnxruntime_first_is_warned_by_load(folder: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < telemetry.FIRST_WITH_TELEMETRY:
        pytest.skip("this onnxruntime has no telemetry")
    # The variable hides from the SDK only: the library itself reads it, so that this test sends nothing.
    code = (
        "import os, sys, onnxruntime; del os.environ['ORT_DISABLE_TELEMETRY']; import primus_sdk; "
        "primus_sdk.load(sys.argv[1])"
    )
    environment = os.environ | {telemetry.VARIABLE: "1", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True, env=environment
    )
    assert "PrimusWarning: onnxruntime was loaded before PRIMUS" in result.stderr
