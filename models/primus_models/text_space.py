"""What a checkpoint says of the text embeddings that its own embeddings were aligned with in pretraining."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

from primus_models.errors import CheckpointError
from primus_models.graph import EMBEDDING_SIZE

LABEL = "{label}"


@dataclass(frozen=True)
class TextSpace:
    """The space that InfoNCE put a window's embedding and its text's in (paper eq. 1-5).

    tower: the text tower's name. size: of its embeddings, 1 to 512; padded with zeros to 512 they are what the
    encoder's were aligned with. temperature: above 0; cosines are divided by it. prompt: the text of a label, with
    `{label}` where the label goes.

    Raises:
        CheckpointError: a field is out of its range.
    """

    tower: str
    size: int
    temperature: float
    prompt: str = LABEL

    def __post_init__(self) -> None:
        if not (isinstance(self.tower, str) and self.tower):
            raise CheckpointError(f"the text tower's name is {self.tower!r}; expected a text that is not empty")
        if type(self.size) is not int or not 1 <= self.size <= EMBEDDING_SIZE:
            raise CheckpointError(f"the text tower's size is {self.size!r}; expected 1 to {EMBEDDING_SIZE}")
        number = type(self.temperature) in (int, float)
        if not (number and math.isfinite(self.temperature) and self.temperature > 0):
            raise CheckpointError(f"the text temperature is {self.temperature!r}; expected a number above 0")
        if not (isinstance(self.prompt, str) and LABEL in self.prompt):
            raise CheckpointError(f"the text prompt is {self.prompt!r}; expected a text with {LABEL} in it")

    def text_of(self, label: str) -> str:
        """What the tower is given for a label."""
        return self.prompt.replace(LABEL, label)

    def to_json(self) -> str:
        """The record as a checkpoint's metadata holds it."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TextSpace:
        """Read the record; fields that this version does not know are passed over.

        Raises:
            CheckpointError: no JSON object, or a field that is missing or out of its range.
        """
        try:
            record = json.loads(text)
            known = {name: record[name] for name in ("tower", "size", "temperature")}
            return cls(**known, prompt=record.get("prompt", LABEL))
        except CheckpointError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise CheckpointError(
                f"the metadata's text record needs tower, size and temperature as a JSON object ({error!r})"
            ) from error
