"""The paper's own probe (section III): a linear classifier trained by AdamW 1e-4 for 20 epochs in batches of 256.

It starts from the text embeddings of the class names where there are some, so that without a step it is the zero-shot
classifier, else from zeros. Embeddings are brought to length 1, as pretraining's losses see them; logits are cosines
over the temperature. From zeros the temperature is 1. PyTorch only: nothing of it runs on the device.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np

from primus_models.errors import EvaluationError
from primus_models.evaluation.probes import Places
from primus_models.evaluation.protocol import Episode
from primus_models.graph import Array

LEARNING_RATE, EPOCHS, BATCH = 1e-4, 20, 256


@dataclass(frozen=True, eq=False)
class PaperProbe:
    """labels: K. start: weights (K, 512) of the class names' texts over the temperature; None: zeros."""

    labels: int
    start: Array | None = None
    needs_shots: bool = True

    def __post_init__(self) -> None:
        """Look for PyTorch, once and early."""
        if importlib.util.find_spec("torch") is None:
            raise EvaluationError("the paper's probe needs PyTorch: pip install 'primus-imu[train]', or --probe head")

    @property
    def name(self) -> str:
        """See `Probe`."""
        return "paper's probe, from zeros" if self.start is None else "paper's probe, from texts"

    @property
    def identity(self) -> str:
        """See `Probe`."""
        start = "zeros" if self.start is None else hashlib.sha256(self.start.tobytes()).hexdigest()
        return f"AdamW {LEARNING_RATE} {EPOCHS} {BATCH} {self.labels} {start}"

    def recognise(self, episode: Episode, fitted: Array, labels: Places, tested: Array) -> Places:
        """See `Probe`; only labels that were learnt are recognised."""
        import torch
        from torch.nn import functional

        x, y = torch.from_numpy(_unit(fitted)), torch.from_numpy(labels)
        model = torch.nn.Linear(x.shape[1], self.labels)
        with torch.no_grad():
            model.bias.zero_()
            model.weight.zero_() if self.start is None else model.weight.copy_(torch.from_numpy(self.start))
        optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
        generator = np.random.default_rng(episode.seed)
        for _ in range(EPOCHS):
            order = torch.from_numpy(generator.permutation(len(x)))
            for chosen in torch.split(order, BATCH):
                optimiser.zero_grad()
                loss: Any = functional.cross_entropy(model(x[chosen]), y[chosen])
                loss.backward()
                optimiser.step()
        with torch.inference_mode():
            logits = model(torch.from_numpy(_unit(tested))).numpy()
        return np.asarray(episode.known[logits[:, episode.known].argmax(axis=1)], np.int64)


def _unit(embeddings: Array) -> Array:
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(lengths, 1e-12), np.float32)
