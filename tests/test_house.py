"""The three floors: imports go down only, and what must start light does."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "primus_sdk": ROOT / "sdk" / "python" / "primus_sdk",
    "primus_models": ROOT / "models" / "primus_models",
    "primus_export": ROOT / "export" / "primus_export",
}
ABOVE = {
    "primus_sdk": {"primus_models", "primus_export", "torch", "onnx", "jsonschema", "flatbuffers"},
    "primus_models": {"primus_export", "onnx", "coremltools"},
    "primus_export": {"torch", "lightning", "primus_models.encoders", "primus_models.train"},
}


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_from_a_floor_above(package: str) -> None:
    files = list(PACKAGES[package].rglob("*.py"))
    assert files
    for file in files:
        for module in imports_of(file):
            for above in ABOVE[package]:
                assert not f"{module}.".startswith(f"{above}."), f"{file.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize(
    ("start", "heavy"),
    [
        ("import primus_export.commands.export", {"torch", "coremltools", "matplotlib", "sklearn"}),
        ("import primus_models.commands.import_checkpoint", {"torch", "onnx", "matplotlib", "scipy"}),
        ("import primus_models.commands.prepare", {"torch", "ray", "transformers", "av", "projectaria_tools", "scipy"}),
        (
            "import primus_models.commands.pretrain",
            {"torch", "lightning", "pydantic", "yaml", "ray", "transformers", "matplotlib", "scipy"},
        ),
        (
            "import primus_models.commands.evaluate",
            {"torch", "lightning", "sklearn", "ray", "transformers", "matplotlib", "scipy"},
        ),
        ("import primus_sdk.commands.stream", {"torch", "onnx", "matplotlib", "scipy", "primus_models"}),
    ],
)
def test_a_command_starts_without_what_it_may_not_need(start: str, heavy: set[str]) -> None:
    asks_for_help = "command.main(['--help'], standalone_mode=False)"
    code = f"{start} as command, sys; {asks_for_help}; print(); print(' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("Usage: ")
    assert heavy.isdisjoint(result.stdout.splitlines()[-1].split())


ROOMS = ("windowing", "recordings", "bundles", "heads", "runtimes", "streaming", "calibration", "commands")
"""The SDK's folders, each of which imports only from those before it (and from the files beside them)."""


def test_the_sdks_folders_import_in_one_direction() -> None:
    root = PACKAGES["primus_sdk"]
    assert {path.parent.name for path in root.glob("*/__init__.py")} == set(ROOMS)
    for position, room in enumerate(ROOMS):
        for file in (root / room).rglob("*.py"):
            for module in imports_of(file):
                for later in ROOMS[position + 1 :]:
                    assert not f"{module}.".startswith(f"primus_sdk.{later}."), f"{file.name} imports {module}"
