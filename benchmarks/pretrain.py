"""Windows a second of pretraining, beside a plain loop with the published one's habits; on the same machine and batch.

    python benchmarks/pretrain.py
    python benchmarks/pretrain.py --batch 16 --rounds 20 --json
    python benchmarks/pretrain.py --device cuda        # and the time of the paper's 250 K windows x 15 epochs

The plain loop trains the same encoder on the same three losses. Its habits: each window is augmented by itself in NumPy
on the CPU, and copied there and back in each step; the two views are encoded one after the other; the queue is searched
for one window after the other, its entries being kept one by one. Candidates take turns, a few steps each; medians and
percentiles are of these turns. Random windows, text and video, all present; a full queue of 8192.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812  (its customary name)

from primus_models.encoders import encoder
from primus_models.pretraining.determinism import deterministic
from primus_models.pretraining.draws import Draw
from primus_models.pretraining.objective import Batch, Primus

QUEUE, SIZE, WINDOWS, EPOCHS = 8192, 512, 250_000, 15
STEPS = 3
"""Of a candidate's turn."""


def batches(batch: int, count: int, device: torch.device) -> list[Batch]:
    """Random windows, on the device."""
    random = torch.Generator().manual_seed(0)
    made = []
    for number in range(count):
        imu = torch.randn(batch, 6, 250, generator=random) + torch.tensor([0, 9.8, 0, 0, 0, 0]).reshape(1, 6, 1)
        text, video = (F.normalize(torch.randn(batch, SIZE, generator=random), dim=1) for _ in range(2))
        numbers, yes = torch.arange(batch) + number * batch, torch.ones(batch, dtype=torch.bool)
        tensors = (imu, numbers, numbers, text, video, yes, yes, numbers)
        made.append(Batch(*(tensor.to(device) for tensor in tensors)))
    return made


class Ours:
    """`primus-pretrain`'s own step."""

    def __init__(self, device: torch.device, precision: str) -> None:
        torch.manual_seed(0)
        self.device, self.precision, self.number = device, precision, 0
        self.objective = Primus("primus", {"ss": 1, "mm": 1, "nn": 1}, ("scale", "reverse"), 0.1, QUEUE).to(device)
        self.optimizer = torch.optim.AdamW(self.objective.parameters(), 2e-4, weight_decay=0, fused=True)

    def __call__(self, batch: Batch) -> float:
        """One step; the loss."""
        with deterministic(self.device):
            return self._step(batch)

    def _step(self, batch: Batch) -> float:
        draw = Draw(0, "training", self.number, len(batch.imu), slice(None), self.device)
        self.number += 1
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16-mixed"):
            losses = self.objective(batch, draw, lambda own: own, True)
        self.optimizer.zero_grad()
        losses["loss"].backward()
        self.optimizer.step()
        return float(losses["loss"].detach())


class Plain:
    """The same losses, step by step as research code does them."""

    def __init__(self, device: torch.device) -> None:
        torch.manual_seed(0)
        self.device, self.encoder = device, encoder("primus").to(device)
        gru = torch.nn.GRU(32, SIZE, batch_first=True)  # PyTorch's own
        gru.load_state_dict(self.encoder.backbone[5].state_dict())
        self.encoder.backbone[5] = gru.to(device)
        self.temperature = torch.nn.Parameter(torch.full((4,), 0.1, device=device))
        self.optimizer = torch.optim.Adam([*self.encoder.parameters(), self.temperature], 2e-4)
        self.queue: deque[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = deque(maxlen=QUEUE)

    def __call__(self, batch: Batch) -> float:
        """One step; the loss."""
        views = []
        for window in batch.imu.cpu().numpy():
            scaled = window * np.random.default_rng().normal(1, 0.1, (6, 1)).astype(np.float32)
            views.append(np.flip(scaled, axis=1).copy())
        view = torch.from_numpy(np.stack(views)).to(self.device)
        alone, multimodal = self._heads(batch.imu)
        augmented, _ = self._heads(view)
        loss = self._nce(alone, augmented, 0)
        loss = loss + self._nce(multimodal, batch.video, 1) + self._nce(multimodal, batch.text, 2)
        if self.queue:
            near = [self._nearest(video) for video in batch.video]
            for place, query in enumerate((alone, multimodal, multimodal)):
                loss = loss + self._nce(query, torch.stack([entry[place] for entry in near]), 3)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        for row in zip(alone.detach(), batch.video, batch.text, strict=True):
            self.queue.append(tuple(F.normalize(part, dim=0) for part in row))  # type: ignore[arg-type]
        return loss.item()

    def _heads(self, imu: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.encoder.features(imu)
        return self.encoder.ssl_head(features), self.encoder.mmcl_head(features)

    def _nearest(self, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        similarity = torch.stack([entry[1] for entry in self.queue]) @ F.normalize(video, dim=0)
        return self.queue[int(similarity.argmax())]

    def _nce(self, queries: torch.Tensor, keys: torch.Tensor, term: int) -> torch.Tensor:
        logits = F.normalize(queries, dim=1) @ F.normalize(keys, dim=1).T / self.temperature[term]
        target = torch.arange(len(logits), device=self.device)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def fill(candidates: dict[str, Any], batch: int, device: torch.device) -> None:
    """Queues as they are but for a run's first minutes."""
    random = torch.Generator().manual_seed(1)
    rows = F.normalize(torch.randn(3, QUEUE, SIZE, generator=random), dim=2).to(device)
    for candidate in candidates.values():
        if isinstance(candidate, Plain):
            candidate.queue.extend(zip(*rows, strict=True))
        else:
            queue = candidate.objective.queue
            queue.imu, queue.video, queue.text = rows.clone().unbind()
            queue.has_video[:], queue.has_text[:] = True, True
            queue.window[:] = torch.arange(-QUEUE - 1, -1)
            queue.pushed.fill_(QUEUE)


def measure(batch: int, rounds: int, device: torch.device) -> dict[str, Any]:
    """Seconds a window of each candidate, by turns in a random order."""
    candidates: dict[str, Callable[[Batch], float]] = {
        "plain loop": Plain(device), "ours": Ours(device, "32-true")
    }  # fmt: skip
    if device.type == "cuda" or torch.backends.cpu.get_cpu_capability() == "AMX":  # elsewhere bf16 is emulated
        candidates["ours, bf16-mixed"] = Ours(device, "bf16-mixed")
    fill(candidates, batch, device)
    data = batches(batch, STEPS, device)
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    random = np.random.default_rng(0)
    for turn in range(rounds + 1):
        for index in random.permutation(len(candidates)):
            name = list(candidates)[index]
            began = time.perf_counter()
            for one in data:
                candidates[name](one)
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first warms up
                taken[name].append((time.perf_counter() - began) / (STEPS * batch))
        print(f"round {turn} of {rounds}", file=sys.stderr)
    figures = {}
    for name, values in taken.items():
        p5, median, p95 = np.percentile(values, [5, 50, 95])
        figures[name] = {"median": float(median), "p5": float(p5), "p95": float(p95)}
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64, help="windows a step (default 64: the paper's 16 on 4 GPUs)")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each candidate (default 10)")
    parser.add_argument("--threads", type=int, default=1, help="processor cores (default 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    figures = measure(options.batch, options.rounds, device)
    plain = figures["plain loop"]["median"]
    result = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu", "batch": options.batch,
        "seconds_a_window": figures,
        "times_the_plain_loop": {name: plain / of["median"] for name, of in figures.items()},
        "hours_of_250k_x_15": {name: of["median"] * WINDOWS * EPOCHS / 3600 for name, of in figures.items()},
    }  # fmt: skip
    if options.json:
        print(json.dumps(result, indent=2))
        return 0
    print(f"{'':18}  windows/s  (p5 to p95)        times the plain loop's   hours of 250 K windows x 15 epochs")
    for name, of in figures.items():
        print(
            f"{name:18} {1 / of['median']:10,.0f}  ({1 / of['p95']:,.0f} to {1 / of['p5']:,.0f})   "
            f"{plain / of['median']:10.2f}   {of['median'] * WINDOWS * EPOCHS / 3600:10.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
