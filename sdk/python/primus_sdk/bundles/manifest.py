"""`manifest.json`: what a bundle holds, as typed values. The meaning of each field is in `sdk/spec/bundle.md`.

Fields that this version does not know are passed over, so that a later one can add to schema 1; whatever changes
the meaning of a field gets a new `schema_version`, which this version refuses.

Named tuples: Python compiles a dataclass anew at every import, most of a millisecond each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from primus_sdk.errors import BundleError
from primus_sdk.fields import Fields, parse_json

FORMAT = "primus-bundle"
SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
WINDOW_SHAPE = (6, 250)
EMBEDDING_SIZE = 512
MAX_FILES = 4096
MAX_FILE_BYTES = 256 << 20
MAX_BUNDLE_BYTES = 512 << 20

_INPUT = {
    "name": "imu",
    "window_samples": 250,
    "rate_hz": 50,
    "channels": ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"],
    "units": {"accelerometer": "m/s^2", "gyroscope": "rad/s"},
    "gravity": "included",
}
"""The one input that this version of the SDK can make from sensors."""

ModelFormat: TypeAlias = Literal["onnx", "tflite", "coreml"]


class Stretch(NamedTuple):
    """How a window becomes integers: each sensor of each window over its own range, -peak to peak."""

    peak: int


class Quantization(NamedTuple):
    """How integers become an output: real = (integer - zero_point) * scale."""

    scale: float
    zero_point: int


class Model(NamedTuple):
    """One model file (CoreML: folder) of a bundle."""

    format: ModelFormat
    path: str
    precision: Literal["fp32", "fp16", "int8", "int4"]
    io: Literal["float32", "int8"]
    outputs: tuple[str, ...]
    oldest_runtime: Mapping[str, str]
    input_quantization: Stretch | None
    output_quantization: Mapping[str, Quantization]
    known_answer_cosine: float
    parity: Mapping[str, Any]


class FileEntry(NamedTuple):
    """What a file of the bundle must be."""

    sha256: str
    bytes: int


class Manifest(NamedTuple):
    """What a bundle holds."""

    name: str
    architecture: str
    encoder_sha256: str
    hop_seconds: float
    models: tuple[Model, ...]
    known_answer: str
    head: str | None
    model_card: str
    files: Mapping[str, FileEntry]
    tools: Mapping[str, Any]
    provenance: Mapping[str, Any]
    licence: str

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """Read and check a manifest's bytes.

        Raises:
            BundleError: no JSON, no PRIMUS manifest, a newer schema, or a field that is missing or wrong.
        """
        root = Fields(parse_json(content, MANIFEST, BundleError), MANIFEST, BundleError)
        _check_schema(root)
        _check_input(root["input"])
        encoder = root["encoder"]
        encoder["embedding_size"].choice(EMBEDDING_SIZE)
        head = root.optional("head")
        manifest = cls(
            name=root["name"].text(),
            architecture=encoder["architecture"].text(),
            encoder_sha256=_sha256(encoder["sha256"]),
            hop_seconds=root["input"]["hop_seconds"].number(),
            models=tuple(map(_model, root["models"].elements())),
            known_answer=_path(root["known_answer"]),
            head=_path(head) if head else None,
            model_card=_path(root["model_card"]),
            files=_files(root["files"]),
            tools=root["tools"].mapping(),
            provenance=root["provenance"].mapping(),
            licence=root["licence"].text(),
        )
        manifest._check_references(root)
        return manifest

    def files_of(self, model: Model) -> list[str]:
        """The bundle's files that make up a model: its one file, or all those in its folder."""
        return [path for path in self.files if path == model.path or path.startswith(f"{model.path}/")]

    def _check_references(self, root: Fields) -> None:
        if not self.models:
            raise root["models"].fail("at least one model")
        for path in (self.known_answer, self.model_card, *([self.head] if self.head else [])):
            if path not in self.files:
                raise BundleError(f"{MANIFEST} names {path!r}, which is not among its files")
        for model in self.models:
            if not self.files_of(model):
                raise BundleError(f"{MANIFEST} names the model {model.path!r}, which is not among its files")


def is_safe_path(path: str) -> bool:
    """Whether a file's name stays inside the bundle on every system: relative, forward slashes, no `..`, no drive."""
    if len(path) > 512 or re.search(r'[\x00-\x1f\\:*?"<>|]', path):
        return False
    return all(part not in ("", ".", "..") for part in path.split("/"))


def _check_schema(root: Fields) -> None:
    if root.mapping().get("format") != FORMAT:
        raise BundleError(f"{MANIFEST} is not of a PRIMUS bundle: its format is not {FORMAT!r}")
    version = root["schema_version"].integer(least=1)
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"the bundle has schema {version}, this version reads up to {SCHEMA_VERSION}: upgrade primus-imu, "
            "or export the bundle with the version that runs here"
        )


def _check_input(fields: Fields) -> None:
    for key, expected in _INPUT.items():
        if fields[key].plain() != expected:
            raise fields[key].fail(f"{expected!r}, the only input this version makes")
    if not 0.02 <= fields["hop_seconds"].number() <= 3600:
        raise fields["hop_seconds"].fail("seconds from 0.02 to 3600")


def _model(fields: Fields) -> Model:
    cosine = fields["known_answer_cosine"].number()
    if not 0 < cosine <= 1:
        raise fields["known_answer_cosine"].fail("a cosine above 0, at most 1")
    outputs = tuple(output.text() for output in fields["outputs"].elements())
    if "embedding" not in outputs:
        raise fields["outputs"].fail("a list with 'embedding' in it")
    source = fields.optional("input_quantization")
    targets = fields.optional("output_quantization")
    model = Model(
        format=fields["format"].choice("onnx", "tflite", "coreml"),
        path=_path(fields["path"]),
        precision=fields["precision"].choice("fp32", "fp16", "int8", "int4"),
        io=fields["io"].choice("float32", "int8"),
        outputs=outputs,
        oldest_runtime={name: version.text() for name, version in fields["oldest_runtime"].items()},
        input_quantization=_stretch(source) if source else None,
        output_quantization={n: _quantization(q) for n, q in targets.items()} if targets else {},
        known_answer_cosine=cosine,
        parity=fields["parity"].mapping(),
    )
    if model.io == "int8" and not (source and set(outputs) <= set(model.output_quantization)):
        raise fields["io"].fail("float32, since the quantization of the input or of an output is not given")
    return model


def _stretch(fields: Fields) -> Stretch:
    fields["kind"].choice("stretch")
    fields["zero_point"].choice(0)
    peak = fields["peak"].integer(least=1)
    if peak > 127:
        raise fields["peak"].fail("a whole number from 1 to 127")
    return Stretch(peak)


def _quantization(fields: Fields) -> Quantization:
    scale = fields["scale"].number()
    if not scale > 0:
        raise fields["scale"].fail("a positive number")
    zero_point = fields["zero_point"].integer(least=-128)
    if zero_point > 127:
        raise fields["zero_point"].fail("a whole number from -128 to 127")
    return Quantization(scale, zero_point)


def _files(fields: Fields) -> dict[str, FileEntry]:
    files: dict[str, FileEntry] = {}
    for path, entry in fields.items():
        if not is_safe_path(path) or path in (MANIFEST, SEAL):
            raise BundleError(f"{MANIFEST} files: {path!r} cannot be the name of a file in a bundle")
        files[path] = FileEntry(_sha256(entry["sha256"]), entry["bytes"].integer(least=0))
        if files[path].bytes > MAX_FILE_BYTES:
            raise entry["bytes"].fail(f"at most {MAX_FILE_BYTES}")
    if len(files) > MAX_FILES or sum(entry.bytes for entry in files.values()) > MAX_BUNDLE_BYTES:
        raise BundleError(f"{MANIFEST} lists more than {MAX_FILES} files or {MAX_BUNDLE_BYTES >> 20} MiB")
    # On a disk that ignores case, one file would be unpacked over the other.
    if len({path.casefold() for path in files}) != len(files):
        raise BundleError(f"{MANIFEST} lists two files whose names differ in case only")
    return files


def _path(fields: Fields) -> str:
    path = fields.text()
    if not is_safe_path(path):
        raise fields.fail("a relative path with forward slashes, inside the bundle")
    return path


def _sha256(fields: Fields) -> str:
    digest = fields.text()
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise fields.fail("64 hexadecimal digits, lower case")
    return digest
