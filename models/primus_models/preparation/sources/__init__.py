"""The data sets that can be prepared: one file each, which says what was seen of its layout, what is from documents."""

from __future__ import annotations

import os
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from primus_models.errors import DataSetError
from primus_models.preparation.sources.base import DataSet

_CLASSES = {
    "aria": ("aria", "Aria"),
    "classyglass": ("classyglass", "ClassyGlass"),
    "ego-exo4d": ("ego_exo4d", "EgoExo4D"),
    "ego4d": ("ego4d", "Ego4D"),
    "folder": ("folder", "Folder"),
    "realworld": ("realworld", "RealWorld"),
    "watch": ("watch", "Watch"),
}
_WITHOUT_PATH = {"watch"}


def names() -> tuple[str, ...]:
    """The forms of data sets that `open_data_set` knows, in order of the alphabet."""
    return tuple(sorted(_CLASSES))


def options_of(name: str) -> dict[str, str]:
    """What a form can be told beside its path: each option's name and type, as Python writes it.

    Raises:
        DataSetError: there is no such form.
    """
    return {field.name: str(field.type) for field in fields(_class_of(name)) if field.name != "path"}


def open_data_set(name: str, path: str | os.PathLike[str] | None = None, **options: Any) -> DataSet:
    """Open a data set by the name of its form; nothing is read yet. Lists become tuples, `bad_windows` a path.

    Raises:
        DataSetError: there is no such form, option or path, or an option is out of its range.
    """
    kind, known = _class_of(name), options_of(name)
    if unknown := sorted(set(options) - set(known)):
        raise DataSetError(f"{name} has no option {unknown[0]!r}; it knows {', '.join(known) or 'none'}")
    if path is None and name not in _WITHOUT_PATH:
        raise DataSetError(f"{name} needs a path: where it lies on disk")
    if path is not None and not Path(path).exists():
        raise DataSetError(f"there is nothing at {Path(path)}; give the path where {name} lies on disk")
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    try:
        if given.get("bad_windows") is not None:
            given["bad_windows"] = Path(given["bad_windows"])
        made: DataSet = kind(path=None if path is None else Path(path), **given)
    except (TypeError, ValueError) as error:
        if isinstance(error, DataSetError):
            raise
        raise DataSetError(f"an option of {name} is of the wrong kind ({error})") from error
    return made


def _class_of(name: str) -> Any:
    """The class of a form, imported only now: one need not have what another one needs."""
    if name not in _CLASSES:
        raise DataSetError(f"there is no data set {name!r:.60}; there are {', '.join(names())}")
    module, kind = _CLASSES[name]
    return getattr(import_module(f"{__name__}.{module}"), kind)
