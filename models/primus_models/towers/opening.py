"""One door to all towers: `minilm`, `sentence:NAME_OR_FOLDER`, `clip:NAME_OR_FOLDER`."""

from __future__ import annotations

from dataclasses import dataclass

from primus_models.errors import TowerError
from primus_models.towers.base import Opened

KINDS = "minilm, sentence:NAME_OR_FOLDER or clip:NAME_OR_FOLDER"


def open_tower(which: str, device: str = "cpu") -> Opened:
    """Open a tower; a local folder is read without a network.

    device: as PyTorch names it, such as cpu or cuda; only cpu gives the same bytes everywhere that the same libraries
    run on the same kind of processor.

    Raises:
        TowerError: no such kind, no such model, or a library is missing; says what to install.
    """
    kind, _, model = which.partition(":")
    if which == "minilm":
        from primus_models.towers.sentence import MINILM, packaged

        return Opened(text=packaged(MINILM, device))
    if kind == "sentence" and model:
        from primus_models.towers.sentence import SentenceTower

        return Opened(text=SentenceTower(model, device=device))
    if kind == "clip" and model:
        from primus_models.towers.clip import open_clip

        return open_clip(model, device)
    raise TowerError(f"{which!r} names no tower; expected {KINDS}")


@dataclass(frozen=True)
class NamedTower:
    """An opener of a tower by its name: small, and pickled in place of the tower itself."""

    which: str
    device: str = "cpu"

    def __call__(self) -> Opened:
        """See `open_tower`."""
        return open_tower(self.which, self.device)
