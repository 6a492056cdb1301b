"""A prepared data set as pretraining sees it: which windows are trained on, in what order, with what beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from primus_models.errors import PretrainingError
from primus_models.graph import EMBEDDING_SIZE, Array
from primus_models.preparation.prepared import Prepared
from primus_models.pretraining.configuration import Configuration
from primus_models.pretraining.draws import part_of, permutation
from primus_models.pretraining.objective import Batch


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one run, and where their text and video embeddings are.

    train, held_out: int64, places in `prepared`. aligned: bool (n,), whether a window keeps its text and video.
    text, video: the towers' arrays, of captions and of windows; None where none is used.
    """

    prepared: Prepared
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    aligned: NDArray[np.bool_]
    text: Array | None
    video: Array | None

    def batch(self, chosen: Tensor, device: torch.device) -> Batch:
        """The windows of these places `(B,)`: read from the memory map, and on the device in one copy each."""
        at = chosen.numpy()
        order = np.argsort(at, kind="stable")  # the file is read in one direction
        imu = np.empty((len(at), *self.prepared.windows.shape[1:]), np.float32)
        imu[order] = self.prepared.windows[at[order]]
        caption = np.where(self.aligned[at], self.prepared.caption[at], -1)
        text = np.zeros((len(at), EMBEDDING_SIZE), np.float32)
        video = np.zeros((len(at), EMBEDDING_SIZE), np.float32)
        has_text = (caption >= 0) & (self.text is not None)
        if self.text is not None and has_text.any():
            text[has_text, : self.text.shape[1]] = self.text[caption[has_text]]
        has_video = np.zeros(len(at), bool)
        if self.video is not None:
            rows = np.asarray(self.video[at])
            has_video = self.aligned[at] & np.isfinite(rows).all(axis=1)
            video[has_video, : rows.shape[1]] = rows[has_video]
        arrays = {
            "imu": imu, "window": at, "caption": caption, "text": text, "video": video, "has_text": has_text,
            "has_video": has_video, "label": np.asarray(self.prepared.label[at]),
        }  # fmt: skip
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if device.type == "cuda":
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return Batch(**{field.name: tensors[field.name].to(device, non_blocking=True) for field in fields(Batch)})

    def training(self, config: Configuration, epoch: int, first: int, rank: int, world: int) -> Iterator[Tensor]:
        """Places of each step's windows of this process, from step `first` of the epoch on.

        A step's global batch is the same whatever the number of processes; the last, smaller one is left out.
        """
        order = torch.from_numpy(self.train)[permutation(config.seed, "order", epoch, len(self.train))]
        part = part_of(rank, world, config.batch)
        for step in range(first, len(self.train) // config.batch):
            yield order[step * config.batch : (step + 1) * config.batch][part]

    def validation(self, config: Configuration, rank: int, world: int) -> Iterator[Tensor]:
        """The same of the windows held out, once, in one fixed order, so that a batch holds many recordings."""
        order = torch.from_numpy(self.held_out)[permutation(config.seed, "validation", 0, len(self.held_out))]
        part = part_of(rank, world, config.batch)
        for step in range(len(self.held_out) // config.batch):
            yield order[step * config.batch : (step + 1) * config.batch][part]


def windows_of(prepared: Prepared, config: Configuration) -> Windows:
    """Which windows to train on, and which to hold out.

    Held out are the recordings that the publishers call "val"; where they made no split, every so many-th user, so that
    nobody is on both sides. Recordings that they call "test", and users who are left out, are used for nothing.

    Raises:
        PretrainingError: too few windows or users, one to leave out who is not there, a tower that is not prepared, or
            no labels for standard training.
    """
    splits = prepared.splits
    users = sorted(set(prepared.users.tolist()))
    if unknown := sorted(set(config.leave_out) - set(users)):
        raise PretrainingError(
            f"there is no user {unknown[0]!r} to leave out; there are {', '.join(users[:40])}: choose among these"
        )
    users = [user for user in users if user not in config.leave_out]
    if (splits == "val").any():
        held_out, train = splits == "val", splits == "train"
    else:
        count = min(round(config.validation * len(users)), len(users) - 1) if config.validation else 0
        count = max(count, 1) if config.validation and len(users) > 1 else count
        chosen = {users[number] for number in permutation(config.seed, "users", 0, len(users)).tolist()[:count]}
        held_out = np.isin(prepared.users, sorted(chosen)) & (splits != "test")
        train = ~held_out & (splits != "test")
    measured_on = np.isin(prepared.users, config.leave_out)
    held_out, train = held_out & ~measured_on, train & ~measured_on
    if config.objective == "standard":
        if not prepared.labels:
            raise PretrainingError("standard training needs labels; this prepared data set has none")
        train &= prepared.label >= 0
        held_out &= prepared.label >= 0
    places = np.flatnonzero(train)
    if len(places) < config.batch:
        raise PretrainingError(
            f"there are {len(places)} windows to train on, fewer than one batch of {config.batch}: prepare more, or "
            "choose a smaller batch"
        )
    text = _tower(prepared, config.text_tower, "text") if config.terms else None
    video = _tower(prepared, config.video_tower, "video") if config.terms else None
    wanted = {name for name in ("mm", "nn") if config.terms.get(name)}
    if wanted and text is None and video is None:
        raise PretrainingError(
            f"the terms {' and '.join(sorted(wanted))} need text or video embeddings, and none are prepared: run "
            "primus-prepare with --text-tower or --video-tower, or train with the weights ss=1"
        )
    return Windows(prepared, places, np.flatnonzero(held_out), _aligned(prepared, config), text, video)


def _aligned(prepared: Prepared, config: Configuration) -> NDArray[np.bool_]:
    """The first so many of one random order of all windows: a smaller share is a part of each larger one."""
    aligned = np.zeros(len(prepared), bool)
    order = permutation(config.seed, "aligned", 0, len(prepared)).numpy()
    aligned[order[: round(config.aligned_share * len(prepared))]] = True
    return aligned


def _tower(prepared: Prepared, name: str, kind: str) -> Array | None:
    """The embeddings of a tower; "auto" is the only one of its kind."""
    if not name:
        return None
    having = sorted(n for n, tower in prepared.towers.items() if getattr(tower, kind) is not None)
    if name == "auto":
        if len(having) > 1:
            raise PretrainingError(f"{kind} is prepared by {', '.join(having)}; name one: {kind}_tower")
        if not having:
            return None
        name = having[0]
    array: Array | None = getattr(prepared.tower(name), kind)
    if array is None:
        raise PretrainingError(
            f"the tower {name!r} has no {kind} embeddings; those that do: {', '.join(having) or 'none'}"
        )
    if array.shape[1] > EMBEDDING_SIZE:
        raise PretrainingError(f"the tower {name!r} gives {array.shape[1]} numbers; expected at most {EMBEDDING_SIZE}")
    return array


def tower_name(prepared: Prepared, name: str, kind: str) -> str:
    """The tower that `windows_of` takes for `name`; empty: none."""
    having = [n for n, tower in prepared.towers.items() if getattr(tower, kind) is not None]
    return (having[0] if having else "") if name == "auto" else name
