"""Train an encoder on ClassyGlass: `python -m primus_models.train --data PATH -o released/tempo.safetensors`.

Supervised, on the embedding: cross-entropy of a linear head, and supervised contrast, which pulls the windows of one
activity together across people. Every fifth person is held out and never seen: `primus-evaluate run` measures on them.
One core suffices; the last epoch's state is kept beside the output until training is done, and the same command goes on
from it. Beside the encoder stands a head for the activities, fitted on the people it was trained on: what recognises
them without any shots, and the prior that calibration starts from.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its customary name)

from primus_models.augment import REACH, augment
from primus_models.checkpoint import Checkpoint, save_checkpoint
from primus_models.data import Signal, read_classyglass, split
from primus_models.encoders import encoder, tensors_of
from primus_models.errors import TrainingError
from primus_models.finishing import CREDIT, LICENCE, activities_beside, finish
from primus_models.graph import EMBEDDING_SIZE, WINDOW
from primus_sdk.commands._cli import click, command
from primus_sdk.files import write_atomically


@dataclass(frozen=True)
class Configuration:
    """All that decides the weights beside the data."""

    architecture: str = "primus"
    seed: int = 0
    epochs: int = 44
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up_steps: int = 30
    clip: float = 5.0
    dropout: float = 0.1
    smoothing: float = 0.1
    contrast_share: float = 0.3
    temperature: float = 0.1
    mixup: float = 0.0
    """Windows are mixed by shares of Beta(mixup, mixup); 0: not at all."""
    bfloat16: bool = True
    """Halves the time where the processor has it. Not for logarithms of power."""
    linear_share: float = 0.0
    """Variance that linear features, which the labels do not train, add to the embedding (`primus_models.widening`)."""
    text_tower: str = ""
    """Whose embeddings of the activities' names the finished embedding is turned to; "": of none."""


RECIPES = {
    "primus": Configuration(),
    "tempo": Configuration(
        architecture="tempo",
        epochs=40,
        learning_rate=1e-3,
        dropout=0.3,
        contrast_share=0.5,
        mixup=0.3,
        bfloat16=False,
        linear_share=0.1,
        text_tower="minilm",
    ),
}
"""How the released checkpoint of each architecture is trained."""


class Objective(nn.Module):
    """The encoder with the heads that only training needs."""

    def __init__(self, config: Configuration, labels: int) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder(config.architecture)
        if config.linear_share:
            for parameter in self.encoder.get_submodule("linear").parameters():
                nn.init.zeros_(parameter).requires_grad_(False)
        self.classifier = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(EMBEDDING_SIZE, labels))
        self.projection = nn.Linear(EMBEDDING_SIZE, 128)

    def forward(self, windows: Tensor, labels: Tensor) -> Tensor:
        """The loss of windows `(B, 6, 250)` whose labels `(B,)` count from 0."""
        own, partners = 1.0, labels
        if self.training and self.config.mixup:
            own = float(torch.distributions.Beta(self.config.mixup, self.config.mixup).sample())
            own = max(own, 1 - own)  # so that a window's own label is the main one, as contrast takes it to be
            order = torch.randperm(len(windows))
            windows, partners = own * windows + (1 - own) * windows[order], labels[order]
        # The losses themselves are computed in float32.
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bfloat16):
            embedding = self.encoder.embed(windows)
            logits, projected = self.classifier(embedding).float(), self.projection(embedding).float()
        entropy = own * F.cross_entropy(logits, labels, label_smoothing=self.config.smoothing)
        if own < 1:
            entropy = entropy + (1 - own) * F.cross_entropy(logits, partners, label_smoothing=self.config.smoothing)
        contrast = supervised_contrast(projected, labels, self.config.temperature)
        share = self.config.contrast_share
        return (1 - share) * entropy + share * contrast


def supervised_contrast(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Mean over a batch `(B, D)` of -log softmax similarity to the others of its label (arXiv 2004.11362, L_out)."""
    vectors = F.normalize(vectors, dim=1)
    itself = torch.eye(len(vectors), dtype=torch.bool)
    similarity = (vectors @ vectors.T / temperature).masked_fill(itself, -1e9)
    log_share = similarity - similarity.logsumexp(dim=1, keepdim=True)
    same = ((labels[:, None] == labels) & ~itself).float()
    per_window = -(same * log_share).sum(dim=1) / same.sum(dim=1).clamp_min(1)
    return per_window[same.any(dim=1)].mean() if same.any() else similarity.sum() * 0


class Stretches:
    """Random stretches of the training signals, 284 samples each: a window, and what a time warp may reach over."""

    def __init__(self, signals: list[Signal]) -> None:
        usable = [s for s in signals if s.imu.shape[1] >= REACH]
        self.labels = sorted({s.label for s in usable})
        if len(self.labels) < 2:
            raise TrainingError("training needs recordings of two activities or more, each longer than 5.7 s")
        self._imu = torch.cat([torch.from_numpy(s.imu) for s in usable], dim=1)
        lengths = torch.tensor([s.imu.shape[1] for s in usable])
        share = lengths // WINDOW
        # One entry for each 5 s of signal: where its signal begins, how many starts it has, what it shows.
        self._begin = (lengths.cumsum(0) - lengths).repeat_interleave(share)
        self._starts = (lengths - REACH + 1).repeat_interleave(share)
        self._label = torch.tensor([self.labels.index(s.label) for s in usable]).repeat_interleave(share)

    def __len__(self) -> int:
        return len(self._label)

    def draw(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Stretches `(B, 6, 284)`, each at a random place of its signal, and their labels `(B,)`."""
        start = self._begin[chosen] + (torch.rand(len(chosen)) * self._starts[chosen]).long()
        index = start[:, None] + torch.arange(REACH)
        return self._imu[:, index].transpose(0, 1), self._label[chosen]


class Training:
    """One run: its model, its optimizer and how far it has come."""

    def __init__(self, config: Configuration, signals: list[Signal]) -> None:
        torch.manual_seed(config.seed)
        self.config, self.stretches = config, Stretches(signals)
        self.model = Objective(config, len(self.stretches.labels))
        self.steps_an_epoch = len(self.stretches) // config.batch
        if self.steps_an_epoch == 0:
            raise TrainingError(f"{len(self.stretches)} windows of 5 s are fewer than one batch of {config.batch}")
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=config.weight_decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.learning_rate, total_steps=config.epochs * self.steps_an_epoch,
            pct_start=min(0.3, config.warm_up_steps / (config.epochs * self.steps_an_epoch)), cycle_momentum=False,
        )  # fmt: skip
        self.epoch, self.losses, self.seconds = 0, list[float](), 0.0

    def run_epoch(self) -> float:
        """One pass over the data; the mean loss.

        Raises:
            TrainingError: the loss is no longer a finite number.
        """
        began, total = time.monotonic(), 0.0
        self.model.train()
        order = torch.randperm(len(self.stretches))[: self.steps_an_epoch * self.config.batch]
        for chosen in torch.split(order, self.config.batch):
            stretches, labels = self.stretches.draw(chosen)
            loss = self.model(augment(stretches), labels)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss became {loss.item()} in epoch {self.epoch + 1}; lower the learning rate"
                    f" (it is {self.config.learning_rate})"
                )
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
            self.optimizer.step()
            self.schedule.step()
            total += loss.item()
        self.epoch += 1
        self.seconds += time.monotonic() - began
        self.losses.append(total / self.steps_an_epoch)
        return self.losses[-1]

    def identity(self) -> str:
        """What a saved state must agree with to be gone on from: the configuration and the training data."""
        digest = hashlib.sha256(self.stretches._imu.numpy().tobytes()).hexdigest()
        return json.dumps([asdict(self.config), self.stretches.labels, digest], sort_keys=True)

    def save(self, path: Path) -> None:
        """Write the state atomically."""
        state = {
            "identity": self.identity(), "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(), "generator": torch.get_rng_state(), "epoch": self.epoch,
            "losses": self.losses, "seconds": self.seconds,
        }  # fmt: skip
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(path, buffer.getvalue())

    def resume(self, path: Path) -> None:
        """Go on from a saved state.

        Raises:
            TrainingError: the state is damaged, or of another configuration or other data.
        """
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True)
            matches = state["identity"] == self.identity()
        except Exception as error:  # torch names no common base for what a damaged file raises
            raise TrainingError(f"{path} is no readable training state ({error}); delete it to start anew") from error
        if not matches:
            raise TrainingError(f"{path} is of another configuration or other data; delete it to start anew")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["generator"])
        self.epoch, self.losses, self.seconds = state["epoch"], state["losses"], state["seconds"]

    def checkpoint(self, provenance: dict[str, Any]) -> Checkpoint:
        """The encoder as it stands; the self-supervised head, which this objective does not train, is left out."""
        tensors = {k: v for k, v in tensors_of(self.model.encoder).items() if not k.startswith("ssl_head.")}
        record = {
            "training": asdict(self.config),
            "epochs_done": self.epoch,
            "seconds": round(self.seconds),
            **provenance,
        }
        return Checkpoint(
            self.config.architecture, tensors, self.config.architecture, licence=LICENCE, provenance=record
        )


def train(
    config: Configuration,
    signals: list[Signal],
    state: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Training:
    """Train to the end, keeping the state of the last epoch at `state`, where an interrupted run is gone on from.

    Raises:
        TrainingError: the data or a state found there cannot be used, or the loss is no longer a number.
    """
    run = Training(config, signals)
    if state is not None and state.exists():
        run.resume(state)
        report(f"going on after epoch {run.epoch}")
    while run.epoch < config.epochs:
        loss = run.run_epoch()
        if state is not None:
            run.save(state)
        left = run.seconds / run.epoch * (config.epochs - run.epoch)
        report(f"epoch {run.epoch}/{config.epochs}  loss {loss:.3f}  {run.seconds:.0f} s done, {left:.0f} s left")
    return run


@command(
    epilog="""\b
Example:
  python -m primus_models.train --data classyglass-1AB.tar.xz -o mine.safetensors --architecture tempo
"""
)
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="ClassyGlass: the published folder or its archive."
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The checkpoint to write.")
@click.option(
    "--architecture", type=click.Choice(list(RECIPES)), default="primus", show_default=True, help="Its recipe is used."
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the data, instead of the recipe's.")
@click.option("--seed", default=Configuration.seed, show_default=True)
@click.option("--threads", default=1, show_default=True, help="Processor cores to use.")
def main(data: Path, output: Path, architecture: str, epochs: int | None, seed: int, threads: int) -> None:
    """Train on ClassyGlass, all but the people held out; write OUTPUT and, beside it, the head OUTPUT-activities."""
    recipe = RECIPES[architecture]
    config = replace(recipe, seed=seed, epochs=epochs or recipe.epochs)
    torch.set_num_threads(threads)
    known, unseen = split(read_classyglass(data))
    state = output.with_suffix(".state")
    run = train(config, known, state, lambda line: click.echo(line, err=True))
    provenance = {
        "data": CREDIT,
        "objective": "supervised: cross-entropy and supervised contrast over 15 activities",
        "users_trained_on": sorted({s.user for s in known}, key=int),
        "users_held_out": sorted({s.user for s in unseen}, key=int),
        "torch": torch.__version__,
    }
    checkpoint, head = finish(run.checkpoint(provenance), known, config.text_tower, config.linear_share)
    save_checkpoint(checkpoint, output)
    activities = activities_beside(output)
    head.save(activities)
    state.unlink()
    click.echo(f"wrote {output} and {activities} ({run.seconds:.0f} s of training)", err=True)


if __name__ == "__main__":
    main()
