"""What towers of published libraries share: where their files are, what identifies them; and nothing is sent."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from primus_models.errors import TowerError

EXTRA = "pip install 'primus-imu[prepare]'"
TEXT_EXTRA = "pip install 'primus-imu[text]' or 'primus-imu[prepare]'"
_WEIGHTS = "*.safetensors"
_READ = ["*.json", "*.txt", "*.model", _WEIGHTS]
_PICKLED = ["pytorch_model*.bin"]


def library(name: str, what: str, extra: str = EXTRA) -> Any:
    """Import a library, whose telemetry is turned off before.

    extra: how it is installed.

    Raises:
        TowerError: it is not installed, or does not load here; says how to install it.
    """
    for variable in ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ[variable] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads and forked processes do not go together
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else name
        raise TowerError(f"{what} needs {missing}, which is not installed or does not load: {extra}") from error


def folder_of(model: str, marker: str, kind: str) -> Path:
    """The folder of a model: itself, if it is one on disk; else the hub's files of that id, fetched once.

    marker: a file that tells such a model.

    Raises:
        TowerError: there is no such folder or id, it cannot be fetched, or is of another kind.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or not model:
            raise TowerError(f"there is no folder {model!r}; give the folder of a {kind} model, or its id on the hub")
        folder = _fetched(model)
    if not (folder / marker).is_file():
        raise TowerError(f"{model} is no {kind} model: it has no {marker}")
    return folder


def _fetched(model: str) -> Path:
    hub = library("huggingface_hub", "fetching a tower")
    try:
        folder = Path(hub.snapshot_download(model, allow_patterns=_READ))
        if not any(folder.rglob(_WEIGHTS)):
            folder = Path(hub.snapshot_download(model, allow_patterns=_READ + _PICKLED))
    except Exception as error:  # whatever the library raises without a network, or for an id that is not there
        raise TowerError(
            f"{model!r} is no folder here, and cannot be fetched ({short(error)}); give the folder of a copy"
        ) from error
    return folder


def read_json(file: Path) -> Any:
    """The content of a model's JSON file.

    Raises:
        TowerError: it cannot be read.
    """
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TowerError(f"{file} cannot be read ({short(error)}); take a whole copy of the model") from error


def identity_of(model: Any, settings: object) -> str:
    """A hash (16 hex digits) of a PyTorch model's numbers, by name, and of settings that JSON can hold."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"\0{name}\0{tensor.dtype}{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Run PyTorch in one thread: with another number of threads sums come out in another order, and other bits."""
    torch: Any = importlib.import_module("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' warnings and bars of loading off the terminal: what matters is raised."""
    logging = importlib.import_module("transformers.utils.logging")
    before = logging.get_verbosity()
    bar = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()


def short(error: BaseException) -> str:
    """An error of a library as part of one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
