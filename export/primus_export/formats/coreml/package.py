"""The package on disk: a folder with a manifest, the model's description (protobuf) and one file of weights."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from primus_export.errors import ExportError
from primus_sdk.errors import OutputError

AUTHOR = "com.apple.CoreML"
MODEL = f"{AUTHOR}/model.mlmodel"
WEIGHTS = f"{AUTHOR}/weights"
NAMESPACE = uuid.UUID("5f6e0b5c-5f0e-5d0c-9a53-1d7d4c0a6f2e")  # made for PRIMUS packages
WEIGHTS_FILE = "weight.bin"
DESCRIPTIONS = {MODEL: "CoreML Model Specification", WEIGHTS: "CoreML Model Weights"}
INPUT_MEANING = "250 samples at 50 Hz: accelerometer x y z (m/s^2, gravity included), gyroscope x y z (rad/s)"
UNSTABLE = "com.github.apple.coremltools.conversion_date"


def write(model: Any, path: Path) -> None:
    """Write a converted `coremltools.models.MLModel`, without what coremltools changes from one day or run to the next.

    Raises:
        OutputError: the folder cannot be written; nothing is left at `path`.
    """
    spec = model.get_spec()
    spec.description.metadata.userDefined.pop(UNSTABLE, None)
    spec.description.metadata.shortDescription = "PRIMUS encoder of head-worn motion: five seconds to an embedding"
    spec.description.input[0].shortDescription = INPUT_MEANING
    contents = {MODEL: spec.SerializeToString(deterministic=True)}
    weights = Path(model.weights_dir) / WEIGHTS_FILE
    if weights.exists():  # constants of under ten numbers stand in the program; it may have no others
        contents[WEIGHTS] = weights.read_bytes()
    try:
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            for item, content in contents.items():
                file = temporary / "Data" / (f"{item}/{WEIGHTS_FILE}" if item == WEIGHTS else item)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            (temporary / "Manifest.json").write_text(_manifest(contents))
            temporary.chmod(0o755)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; choose a folder that can be written"
        ) from error


def _manifest(contents: dict[str, bytes]) -> str:
    """The package's table of contents, with identifiers made from the contents in place of random ones."""
    identifiers = {
        item: str(uuid.uuid5(NAMESPACE, f"{item} {hashlib.sha256(content).hexdigest()}"))
        for item, content in contents.items()
    }
    entries = {
        identifier: {
            "author": AUTHOR,
            "description": DESCRIPTIONS[item],
            "name": item.removeprefix(f"{AUTHOR}/"),
            "path": item,
        }
        for item, identifier in identifiers.items()
    }
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": identifiers[MODEL],
    }
    return json.dumps(manifest, indent=4) + "\n"


def read(path: Path) -> tuple[Any, Path]:
    """The model's description (`Model_pb2.Model`) and the folder that `@model_path` means, found through the manifest.

    Raises:
        ExportError: there is no package there, or it is no ML Program.
    """
    from coremltools.proto import Model_pb2

    try:
        manifest = json.loads((path / "Manifest.json").read_text())
        model = path / "Data" / manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
        spec = Model_pb2.Model.FromString(model.read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path} cannot be read as a Core ML package ({error}); export it again") from error
    if spec.WhichOneof("Type") != "mlProgram":
        raise ExportError(f"{path} holds no ML Program; export it again")
    return spec, model.parent
