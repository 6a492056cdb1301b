"""One pretraining run on Lightning Fabric: any number of processes, devices and nodes, any precision, resumable.

A step is a function of the configuration, the data, its number, and the state before it: its windows, their
augmentations and their order follow from the seed and the number (`draws`). So a run that was killed at any step goes
on from its last state and ends with the weights of one that was not, bit for bit on the same machine.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor

from primus_models.checkpoint import Checkpoint, save_checkpoint
from primus_models.encoders import tensors_of
from primus_models.errors import PretrainingError
from primus_models.preparation.prepared import Prepared
from primus_models.pretraining import state
from primus_models.pretraining.augmentations import augmented
from primus_models.pretraining.baselines import Multitask, Standard
from primus_models.pretraining.batches import Windows, tower_name, windows_of
from primus_models.pretraining.configuration import Configuration, to_yaml
from primus_models.pretraining.determinism import deterministic
from primus_models.pretraining.draws import Draw, part_of, seed_of
from primus_models.pretraining.objective import Batch, Objective, Primus
from primus_models.pretraining.quantized import recurrent_weights, round_in_place, rounded_while
from primus_models.text_space import TextSpace
from primus_sdk.files import write_atomically

STATE, CONFIGURATION, CHECKPOINT, SUMMARY = "state.pt", "configuration.yaml", "checkpoint.safetensors", "summary.json"


@dataclass
class Progress:
    """How far a run has come; what its listeners are told.

    step: steps done, of `steps`. losses: of the last step, by name. validation: by step, the mean loss on those held
    out. best: the step with the least of them, whose weights are kept. seconds: of training, over all sessions.
    """

    step: int = 0
    steps: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    validation: dict[int, float] = field(default_factory=dict)
    best: int = 0
    seconds: float = 0.0


Listener = Callable[[Progress], None]


def objective_of(config: Configuration, labels: int) -> Objective:
    """A fresh objective; its initial weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        match config.objective:
            case "multitask":
                return Multitask(config.architecture, config.augmentations)
            case "standard":
                return Standard(config.architecture, labels)
            case _:
                return Primus(config.architecture, config.terms, config.augmentations, config.temperature, config.queue)


class Run:
    """A run in a folder, made anew or gone on with."""

    def __init__(self, fabric: Fabric, config: Configuration, prepared: Prepared, folder: Path) -> None:
        """Set up, and read the state of an earlier session where there is one.

        Raises:
            PretrainingError: the data do not suffice, or the state there is of another run.
        """
        if config.batch % fabric.world_size:
            raise PretrainingError(
                f"a batch of {config.batch} cannot be shared by {fabric.world_size} processes; choose a multiple of it"
            )
        self.fabric, self.config, self.prepared, self.folder = fabric, config, prepared, folder
        self.windows: Windows = windows_of(prepared, config)
        self.steps_an_epoch = len(self.windows.train) // config.batch
        self.progress = Progress(steps=self.steps_an_epoch * config.epochs)
        self.part = part_of(fabric.global_rank, fabric.world_size, config.batch)
        self.int4_from = round(config.int4_from * self.progress.steps)
        objective = objective_of(config, len(prepared.labels))
        self.recurrent = recurrent_weights(objective.encoder)
        if config.int4_from < 1 and not self.recurrent:
            raise PretrainingError(
                f"int4_from is {config.int4_from}, and {config.architecture} has no recurrent weights, which alone are "
                "kept in int4; leave it out"
            )
        parameters = [p for p in objective.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            parameters, config.learning_rate, weight_decay=config.weight_decay, fused=fabric.device.type != "mps"
        )
        self.module, self.optimizer = fabric.setup(objective, optimizer)
        self.objective: Objective = objective
        self.best: dict[str, Tensor] = self._weights()
        if (folder / STATE).exists():
            self._restore(state.load(folder / STATE, self.identity(), fabric.device))

    def identity(self) -> str:
        """What a state must agree with to be gone on from: the configuration, and the data."""
        data = hashlib.sha256()
        for array in (self.prepared.recording, self.prepared.start_ns, self.prepared.caption, self.windows.train):
            data.update(memoryview(array.tobytes()))
        data.update(self.prepared.windows[:: max(1, len(self.prepared) // 64)].tobytes())
        return json.dumps([self.config.model_dump(mode="json"), data.hexdigest()], sort_keys=True)

    def train(self, *listeners: Listener) -> Checkpoint:
        """Train to the end, telling listeners of each step, and return the encoder.

        It is the best by validation loss, or the last where nobody is held out.

        Raises:
            PretrainingError: the loss is no longer a finite number; the last state stays, to go on from with another
                configuration's learning rate.
            OutputError: the folder cannot be written.
        """
        device = self.fabric.device
        with deterministic(device), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            self._train(listeners)
        return self.finish()

    def _train(self, listeners: tuple[Listener, ...]) -> None:
        began, before = time.monotonic(), self.progress.seconds
        while self.progress.step < self.progress.steps:
            epoch, first = divmod(self.progress.step, self.steps_an_epoch)
            for chosen in self.windows.training(
                self.config, epoch, first, self.fabric.global_rank, self.fabric.world_size
            ):
                self._step(chosen)
                self.progress.seconds = before + time.monotonic() - began
                step = self.progress.step
                last = step == self.progress.steps
                if len(self.windows.held_out) and (step % self.config.validate_every == 0 or last):
                    self._validate()
                if step % self.config.save_every == 0 or last:
                    self.save()
                for listener in listeners:
                    listener(self.progress)

    def _step(self, chosen: Tensor) -> None:
        step = self.progress.step
        batch = self.windows.batch(chosen, self.fabric.device)
        batch = replace(batch, imu=augmented(batch.imu, self.config.input_augmentations, self._draw("input", step)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * self._share_of_rate(step)
        self.optimizer.zero_grad()
        # What dropout draws: it knows PyTorch's own generator only. Each process has other windows, so other numbers.
        torch.manual_seed(seed_of(self.config.seed, f"dropout {self.fabric.global_rank}", step))
        with self._as_exported(step):
            losses = self._gradients(batch, step)
        if self.config.clip:
            self.fabric.clip_gradients(self.module, self.optimizer, max_norm=self.config.clip)
        self.optimizer.step()
        self.progress.step += 1
        self.progress.losses = {name: float(value.detach()) for name, value in losses.items()}

    def _gradients(self, batch: Batch, step: int) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.module(batch, self._draw("training", step), self._gather, True)
        if not math.isfinite(loss := float(losses["loss"].detach())):
            raise PretrainingError(
                f"the loss became {loss} at step {step + 1}; lower the learning rate (it is "
                f"{self.config.learning_rate}), clip gradients, or use the precision 32-true (it is "
                f"{self.config.precision}). The state of the last step that was saved is kept in {self.folder}"
            )
        self.fabric.backward(losses["loss"])
        return losses

    def _as_exported(self, step: int) -> AbstractContextManager[None]:
        """The encoder with the weights that it will be exported with, once the time for that has come."""
        return rounded_while(self.recurrent) if step >= self.int4_from else nullcontext()

    def _share_of_rate(self, step: int) -> float:
        """Of the learning rate, from the step alone, so that a resumed run goes on with the same."""
        if self.config.schedule == "constant":
            return 1.0
        return (1 + math.cos(math.pi * step / self.progress.steps)) / 2

    @torch.no_grad()
    def _validate(self) -> None:
        """The mean loss on those held out; the best one's weights are kept."""
        self.module.eval()
        total, count = 0.0, 0
        for number, chosen in enumerate(
            self.windows.validation(self.config, self.fabric.global_rank, self.fabric.world_size)
        ):
            batch = self.windows.batch(chosen, self.fabric.device)
            with self._as_exported(self.progress.step):
                total += float(self.module(batch, self._draw("validation", number), self._gather, False)["loss"])
            count += 1
        self.module.train()
        if not count:
            return
        loss, step, known = total / count, self.progress.step, self.progress.validation
        # One that never met its rounded weights is no rival of those that did.
        rivals = [at for at in known if at >= self.int4_from] if step >= self.int4_from else list(known)
        if not rivals or loss < known[self.progress.best]:
            self.progress.best, self.best = step, self._weights()
        known[step] = loss

    def _draw(self, purpose: str, number: int) -> Draw:
        return Draw(self.config.seed, purpose, number, self.config.batch, self.part, self.fabric.device)

    def _gather(self, own: Tensor) -> Tensor:
        if self.fabric.world_size == 1:
            return own
        every: Any = self.fabric.all_gather(own, sync_grads=torch.is_grad_enabled() and own.requires_grad)
        gathered: Tensor = every.flatten(0, 1)
        return gathered

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.objective.state_dict().items()}

    def save(self) -> None:
        """Write what the run is resumed from; every process has the same, one writes it."""
        if self.fabric.is_global_zero:
            progress = self.progress
            state.save(
                self.folder / STATE,
                self.identity(),
                {
                    "objective": self.objective.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "best": self.best if progress.validation else {},
                    "step": progress.step,
                    "validation": list(progress.validation.items()),
                    "best_step": progress.best,
                    "seconds": progress.seconds,
                },
            )
        self.fabric.barrier()

    def _restore(self, saved: dict[str, Any]) -> None:
        self.objective.load_state_dict(saved["objective"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.best = saved["best"] or self._weights()
        self.progress.step, self.progress.seconds = saved["step"], saved["seconds"]
        self.progress.validation, self.progress.best = dict(saved["validation"]), saved["best_step"]

    def finish(self) -> Checkpoint:
        """The encoder with the least validation loss, really loaded again; written beside the state, with a summary."""
        if self.progress.validation:
            self.objective.load_state_dict(self.best)
        self.objective.finish()
        if self.config.int4_from < 1:
            round_in_place(self.recurrent)
        checkpoint = self.checkpoint()
        if self.fabric.is_global_zero:
            save_checkpoint(checkpoint, self.folder / CHECKPOINT)
            write_atomically(self.folder / CONFIGURATION, to_yaml(self.config).encode())
            record = checkpoint.provenance | {"checkpoint": CHECKPOINT, "sha256": checkpoint.sha256}
            write_atomically(self.folder / SUMMARY, json.dumps(record, indent=2, sort_keys=True).encode())
        self.fabric.barrier()
        return checkpoint

    def checkpoint(self) -> Checkpoint:
        """The encoder as it stands, with the configuration and the data on record."""
        progress, objective = self.progress, self.objective
        tensors = tensors_of(objective.encoder)
        frozen = {name for name, parameter in objective.encoder.named_parameters() if not parameter.requires_grad}
        # The self-supervised head is no part of what is exported; one that nothing trained is noise.
        tensors = {k: v for k, v in tensors.items() if not (k.startswith("ssl_head.") and k in frozen)}
        provenance: dict[str, Any] = {
            "configuration": self.config.model_dump(mode="json"),
            "data": self.prepared.source,
            "windows_trained_on": len(self.windows.train),
            "windows_held_out": len(self.windows.held_out),
            "users_trained_on": sorted({str(u) for u in self.prepared.users[self.windows.train]}),
            "users_held_out": sorted({str(u) for u in self.prepared.users[self.windows.held_out]}),
            "steps": progress.step,
            "best_step": progress.best or progress.step,
            "validation": {str(step): round(loss, 6) for step, loss in progress.validation.items()},
            "torch": torch.__version__,
        }
        if {"mm", "nn"} & set(self.config.terms):  # the abscissa of Fig. 6
            provenance["aligned_share"] = self.config.aligned_share
        return Checkpoint(self.config.architecture, tensors, provenance=provenance, text=self._text_space())

    def _text_space(self) -> TextSpace | None:
        objective = self.objective
        if not isinstance(objective, Primus) or not {"mm", "nn"} & set(objective.weights) or self.windows.text is None:
            return None
        name = tower_name(self.prepared, self.config.text_tower, "text")
        temperature = float(objective.temperatures["text"]().detach())
        return TextSpace(name, int(self.windows.text.shape[1]), temperature)
