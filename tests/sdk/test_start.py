"""The console commands' first moments: what is imported, and Ctrl-C before all of it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import primus_start

ROOT = Path(__file__).parents[2]
SLOW = """
import signal, time
print("importing", flush=True)
time.sleep(60)
"""


def started(folder: Path, code: str) -> subprocess.Popen[str]:
    # These tests may run where Ctrl-C is ignored, as in the background of a shell; processes inherit that.
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{code}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_ctrl_c_while_a_command_imports_ends_it_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "slow_command.py").write_text(SLOW)
    process = started(tmp_path, "import primus_start; primus_start._run('slow_command')")
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (-signal.SIGINT, "")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
@pytest.mark.parametrize(
    ("before", "handler"), [("", "default_int_handler"), ("signal.signal(signal.SIGINT, signal.SIG_IGN)", "SIG_IGN")]
)
def test_a_command_runs_with_the_handler_that_it_was_started_with(tmp_path: Path, before: str, handler: str) -> None:
    (tmp_path / "quick.py").write_text(
        f"import signal\ndef main():\n    print(signal.getsignal(signal.SIGINT) is signal.{handler})\n"
    )
    process = started(tmp_path, f"import signal\n{before}\nimport primus_start; primus_start._run('quick')")
    assert process.communicate()[0] == "True\n"


def test_every_console_command_begins_here_and_names_a_main_that_is_there() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    for name, target in scripts.items():
        module, _, function = target.partition(":")
        assert module == "primus_start", name
        assert callable(getattr(primus_start, function))


@pytest.mark.parametrize(
    "command", ["calibrate", "evaluate", "export", "import_checkpoint", "prepare", "pretrain", "stream"]
)
def test_each_command_starts(command: str) -> None:
    code = f"import sys; sys.argv = ['it', '--help']; import primus_start; primus_start.{command}()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ")


def test_nothing_of_ours_is_imported_to_begin_with() -> None:
    code = "import sys; before = set(sys.modules); import primus_start; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "click", "primus_sdk", "primus_export", "primus_models"} & set(done.stdout.split())
