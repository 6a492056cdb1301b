"""Standard training (paper III-B): the same network from random weights, all of it trained on the shots alone.

Each trial and number of shots is a training of its own, by cross-entropy of a linear classifier on the embedding, with
AdamW 1e-3 in batches of 32 (all shots where there are fewer); the paper names no settings for it. The network is that
of `primus-pretrain --objective standard`. PyTorch only; on one machine a seed gives the same figures.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import EvaluationError
from primus_models.evaluation.candidates import About
from primus_models.evaluation.data import Labelled
from primus_models.evaluation.embedding import BATCH as TESTED_TOGETHER
from primus_models.evaluation.embedding import has_torch
from primus_models.evaluation.probes import Places
from primus_models.evaluation.protocol import Episode
from primus_models.graph import Array

LEARNING_RATE, BATCH = 1e-3, 32
STEPS, EPOCHS = 100, 10
"""Of ClassyGlass, 5 shots a label are all fitted after 50 steps; people not seen are told no better after 200."""
TRAINING = "training from scratch"
"""What a report is told is being done, and then which."""

Report = Callable[[str, int, int], None]
"""As `measure` is given: what is being done, steps done, steps in all."""


@dataclass(frozen=True)
class Effort:
    """How long a training is: so many steps, or so many passes over the shots where those are more steps."""

    steps: int = STEPS
    epochs: int = EPOCHS

    def of(self, shots: int) -> int:
        """Steps for so many windows in all."""
        return max(self.steps, self.epochs * -(-shots // BATCH))


@dataclass(frozen=True, eq=False)
class Scratch:
    """The candidate: no features at all, since its classifier reads the windows themselves."""

    about: About

    def features(self, windows: Array) -> Array:
        """Features `(n, 0)`."""
        return np.zeros((len(windows), 0), np.float32)


@dataclass(frozen=True, eq=False)
class FromScratch:
    """The classifier, with the data whose windows the episodes name; `report` is told of each step."""

    data: Labelled
    architecture: str
    effort: Effort = Effort()
    report: Report = lambda what, done, total: None
    name: str = "end to end"
    needs_shots: bool = True

    @property
    def identity(self) -> str:
        """See `Probe`."""
        return f"scratch {self.architecture} AdamW {LEARNING_RATE} {BATCH} {self.effort.steps} {self.effort.epochs}"

    def recognise(self, episode: Episode, fitted: Array, labels: Places, tested: Array) -> Places:
        """See `Probe`. Of the windows those of `episode.fitted` are trained on; features are not looked at.

        Raises:
            EvaluationError: the loss is no longer a number.
        """
        import torch
        from torch.nn import functional

        from primus_models.pretraining.baselines import Standard

        generator = np.random.default_rng(episode.seed)
        known, classes = np.unique(labels, return_inverse=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator.integers(2**31)))
            network = Standard(self.architecture, len(known))
        trained = [p for p in network.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=0.0)
        x, y = torch.from_numpy(self._windows(episode.fitted)), torch.from_numpy(classes)
        steps, queue = self.effort.of(len(x)), np.zeros(0, np.int64)
        what = f"{TRAINING} on {episode.shots} shots"
        for step in range(steps):
            self.report(what, step, steps)
            while len(queue) < min(BATCH, len(x)):
                queue = np.concatenate([queue, generator.permutation(len(x))])
            chosen, queue = torch.from_numpy(queue[:BATCH]), queue[BATCH:]
            loss: Any = functional.cross_entropy(network.classifier(network.encoder.embed(x[chosen])), y[chosen])
            if not np.isfinite(value := loss.item()):
                raise EvaluationError(f"standard training at {episode.shots} shots: the loss became {value}")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        self.report(what, steps, steps)
        found = []
        with torch.inference_mode():
            for start in range(0, len(episode.tested), TESTED_TOGETHER):
                windows = torch.from_numpy(self._windows(episode.tested[start : start + TESTED_TOGETHER]))
                found.append(network.classifier(network.encoder.embed(windows)).argmax(dim=1).numpy())
        return np.asarray(known[np.concatenate(found)], np.int64)

    def _windows(self, places: NDArray[np.int64]) -> Array:
        return np.ascontiguousarray(self.data.array[self.data.rows[places]], np.float32)


def scratch(architecture: str, effort: Effort) -> Scratch:
    """The candidate of an architecture.

    Raises:
        EvaluationError: PyTorch, or an encoder of the architecture in it, is not there.
    """
    if not has_torch(architecture):
        raise EvaluationError(
            f"--standard trains by PyTorch, and it, or an encoder in it for the architecture {architecture!r}, is not "
            "there: pip install 'primus-imu[train]', or leave it out"
        )
    how = (
        f"PyTorch {importlib.metadata.version('torch')}, {effort.steps} steps or {effort.epochs} epochs, "
        "whichever is more"
    )
    return Scratch(About("standard training", "standard training", how, f"scratch {architecture}"))
