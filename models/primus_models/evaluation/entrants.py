"""Who enters an evaluation: encoders with their probes, and the yardsticks beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from primus_models.checkpoint import Checkpoint, is_released, load, released
from primus_models.errors import EvaluationError
from primus_models.evaluation.candidates import Encoder, Guessing, Handcrafted, Named, open_encoder, untrained
from primus_models.evaluation.class_names import ZeroShot, vectors
from primus_models.evaluation.data import Labelled
from primus_models.evaluation.embedding import Backend
from primus_models.evaluation.measure import Contestant, Report
from primus_models.evaluation.paper_probe import PaperProbe
from primus_models.evaluation.probes import DeviceHead, Guess, Probe, forest, has_sklearn, logistic, own_head
from primus_models.evaluation.standard import Effort, FromScratch, scratch

ProbeName = Literal["head", "paper", "logistic"]
PROBES: tuple[ProbeName, ...] = ("head", "paper", "logistic")


@dataclass(frozen=True)
class Choice:
    """What to do with each encoder.

    probes: that read its embeddings. backend: of checkpoints. runtimes: of bundles, each in turn; none: the first that
    is installed. texts: embeddings of the class names, for checkpoints that were aligned with text.
    """

    probes: tuple[ProbeName, ...] = ("head",)
    backend: Backend | None = None
    runtimes: tuple[str, ...] = ()
    texts: Path | None = None


def opened(given: Sequence[Named], choice: Choice) -> list[Encoder]:
    """The encoders that were named, or the released checkpoint.

    Raises:
        CheckpointError, BundleError, RuntimeUnavailableError: one cannot be read, or not be run here.
    """
    return [one for named in given or [Named(released(), "released")] for one in _opened(named, choice)]


def encoders(found: Sequence[Encoder], choice: Choice, labels: tuple[str, ...]) -> list[Contestant]:
    """The encoders with their probes, for data with these labels.

    Raises:
        EvaluationError: texts are given and no encoder was aligned with text, or they do not fit.
    """
    if choice.texts is not None and all(encoder.text is None for encoder in found):
        raise EvaluationError(
            "--text-embeddings needs a checkpoint that was aligned with text in pretraining; none of these was "
            "(their metadata have no text record): leave it out, or take one that was"
        )
    return [Contestant(encoder, _probes(encoder, choice, labels)) for encoder in found]


def baselines(given: Sequence[Named], backend: Backend | None) -> tuple[list[Contestant], str]:
    """The yardsticks, and what is missing of them, in words: random weights, handcrafted features, guessing."""
    yardsticks: tuple[Probe, ...] = (logistic(), forest()) if has_sklearn() else (DeviceHead(),)
    missing = "" if has_sklearn() else (
        "scikit-learn is not installed, so handcrafted features get the linear head in place of logistic regression "
        "and a random forest; pip install 'primus-imu[evaluate]' brings it"
    )  # fmt: skip
    return [
        Contestant(untrained(_first_checkpoint(given), backend), (DeviceHead(),)),
        Contestant(Handcrafted(), yardsticks),
        Contestant(Guessing(), (Guess(),)),
    ], missing


def standard(given: Sequence[Named], data: Labelled, effort: Effort, report: Report) -> Contestant:
    """Standard training on the shots alone, of the network whose random weights `baselines` has.

    Raises:
        EvaluationError: PyTorch, or an encoder of the architecture in it, is not there.
    """
    architecture = _first_checkpoint(given).architecture
    return Contestant(scratch(architecture, effort), (FromScratch(data, architecture, effort, report),))


def _opened(named: Named, choice: Choice) -> list[Encoder]:
    first = open_encoder(named, choice.backend, choice.runtimes[0] if choice.runtimes else None)
    if first.about.kind != "bundle" or len(choice.runtimes) < 2:
        return [first]
    names = [replace(named, name=f"{named.name} ({runtime})") for runtime in choice.runtimes]
    return [open_encoder(own, None, runtime) for own, runtime in zip(names, choice.runtimes, strict=True)]


def _probes(encoder: Encoder, choice: Choice, labels: tuple[str, ...]) -> tuple[Probe, ...]:
    probes: list[Probe] = []
    texts = None
    if choice.texts is not None and encoder.text is not None:
        texts = vectors(choice.texts, encoder.text, labels)
        probes.append(ZeroShot(texts))
    own = own_head(encoder.head, labels)
    if own is not None:
        probes.append(own)
    for name in choice.probes:
        if name == "paper":
            start = None if texts is None or encoder.text is None else texts / encoder.text.temperature
            probes.append(PaperProbe(len(labels), None if start is None else start.astype("float32")))
        else:
            probes.append(DeviceHead() if name == "head" else logistic())
    return tuple(probes)


def _first_checkpoint(given: Sequence[Named]) -> Checkpoint:
    """The network whose random weights stand beside: the first checkpoint's, else the released one's."""
    for named in given:
        if named.path.suffix == ".safetensors" or is_released(named.path):
            return load(named.path)
    return load(released())
