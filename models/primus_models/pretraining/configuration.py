"""All that decides what a pretraining run gives, beside the data; one YAML file, or the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from primus_models import architectures
from primus_models.errors import ArchitectureError, PretrainingError
from primus_models.pretraining.augmentations import AUGMENTATIONS

ObjectiveName = Literal["primus", "simclr", "imu2clip", "multitask", "standard"]
Schedule = Literal["constant", "cosine"]
Precision = Literal["32-true", "64-true", "bf16-mixed", "16-mixed"]

WEIGHTS: Final[dict[str, dict[str, float]]] = {
    "primus": {"ss": 1.0, "mm": 1.0, "nn": 1.0},
    "simclr": {"ss": 1.0},
    "imu2clip": {"mm": 1.0},
}
"""alpha, beta and gamma of paper eq. 5, and the baselines of Fig. 4 that are a subset of its losses."""

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Configuration(BaseModel):
    """A run's settings; the defaults are the paper's (section III; batch 16 on each of 4 GPUs).

    Attributes:
        objective: "primus", or a baseline of Fig. 4.
        weights: of the terms ss, mm and nn (alpha, beta, gamma); empty: the objective's own. Any subset is Fig. 5.
        architecture: as in `primus_models.architectures`.
        text_tower, video_tower: whose cached embeddings to use; empty: none. "auto": the only one that is prepared.
        aligned_share: of the windows, 0 to 1, that keep their text and video (Fig. 6).
        augmentations: one after the other (ss), or each a task (multitask: all of them).
        input_augmentations: done to every window trained on before any loss sees it; the paper does none. Of few people
            all losses but ss learn the windows by heart without.
        queue: windows that neighbours are found among.
        temperature: at the start; learnt.
        batch: windows a step, of all processes together.
        epochs, learning_rate, weight_decay, clip: Adam's (AdamW's, with decay); 0 clips nothing.
        schedule: "constant", as the paper's, or "cosine": the learning rate falls to 0 along half a cosine.
        seed: all that is random follows from it.
        validation: share of the users, 0 to 0.5, on whom the best checkpoint is chosen, where the publishers of the
            data made no split; 0: the last one is taken.
        leave_out: users whose windows are used for nothing, neither trained nor validated on: those to measure on.
        validate_every, save_every: steps.
        precision: as Lightning names it.
        int4_from: the share of the steps, 0 to 1, from which on the recurrent weights are of 4 bits in every pass
            (quantization-aware training) and in the result; 1: never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    objective: ObjectiveName = "primus"
    weights: dict[Literal["ss", "mm", "nn"], Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
    architecture: str = "primus"
    text_tower: str = "auto"
    video_tower: str = "auto"
    aligned_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    augmentations: tuple[str, ...] = ("scale", "reverse")
    input_augmentations: tuple[str, ...] = ()
    queue: Annotated[int, Field(ge=1, le=1 << 22)] = 8192
    temperature: _Positive = 0.1
    batch: Annotated[int, Field(ge=2, le=1 << 17)] = 64
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 15
    learning_rate: _Positive = 2e-4
    schedule: Schedule = "constant"
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    clip: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    leave_out: tuple[str, ...] = ()
    validate_every: Annotated[int, Field(ge=1)] = 500
    save_every: Annotated[int, Field(ge=1)] = 500
    precision: Precision = "32-true"
    int4_from: Annotated[float, Field(ge=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name in (*self.augmentations, *self.input_augmentations):
            if name not in AUGMENTATIONS:
                raise ValueError(f"there is no augmentation {name!r}; expected some of {', '.join(AUGMENTATIONS)}")
        if self.weights and self.objective != "primus":
            raise ValueError(f"weights are of the objective primus, not of {self.objective}")
        if self.objective in WEIGHTS and not any(self.terms.values()):
            raise ValueError("all weights are 0; expected one of ss, mm and nn above 0")
        if self.terms.get("ss") and not self.augmentations:
            raise ValueError("self-supervision needs an augmentation; expected one or more")
        try:
            architectures.get(self.architecture)
        except ArchitectureError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def terms(self) -> dict[str, float]:
        """The weights of ss, mm and nn in use; empty for objectives without them."""
        return {str(name): weight for name, weight in (self.weights or WEIGHTS.get(self.objective, {})).items()}


def read(file: Path | None, options: dict[str, Any]) -> Configuration:
    """The configuration of a YAML file (or the defaults), with what is given beside it in its place.

    Raises:
        PretrainingError: the file cannot be read, or a setting is unknown or out of its range; says which.
    """
    import yaml

    settings: Any = {}
    if file is not None:
        try:
            settings = yaml.safe_load(file.read_text("utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise PretrainingError(f"{file} cannot be read as YAML: {' '.join(str(error).split())}") from error
        if not isinstance(settings, dict):
            raise PretrainingError(
                f"{file} holds {type(settings).__name__}; expected settings by name, as in 'epochs: 15'"
            )
    try:
        return Configuration(**(settings | options))
    except (ValidationError, TypeError) as error:
        if isinstance(error, TypeError):
            raise PretrainingError(f"{file}: settings are texts by name ({error})") from error
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the configuration"
        raise PretrainingError(f"{where}: {first['msg']} (it is {first['input']!r:.80})") from error


def to_yaml(configuration: Configuration) -> str:
    """The settings as a YAML file that `read` takes."""
    import yaml

    text: str = yaml.safe_dump(configuration.model_dump(mode="json"), sort_keys=False)
    return text
