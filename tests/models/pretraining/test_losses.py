"""InfoNCE, the queue and the objective against plain readings of the paper's equations, window by window."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from primus_models.preparation.prepared import Prepared
from primus_models.pretraining.batches import windows_of
from primus_models.pretraining.configuration import Configuration
from primus_models.pretraining.draws import Draw
from primus_models.pretraining.losses import info_nce, same
from primus_models.pretraining.objective import Primus
from primus_models.pretraining.queue import FeatureQueue, Features


def plain_info_nce(queries: np.ndarray, keys: np.ndarray, temperature: float, excluded: np.ndarray) -> float:
    """Eq. 1, a window at a time, both directions."""
    q = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    k = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    total = 0.0
    for i in range(len(q)):
        others = [j for j in range(len(q)) if j == i or not excluded[i, j]]
        forward = [math.exp(q[i] @ k[j] / temperature) for j in others]
        backward = [math.exp(k[i] @ q[j] / temperature) for j in range(len(q)) if j == i or not excluded[j, i]]
        own = math.exp(q[i] @ k[i] / temperature)
        total -= math.log(own / sum(forward)) + math.log(own / sum(backward))
    return total / (2 * len(q))


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 12), seed=st.integers(0, 999), temperature=st.floats(0.05, 2), groups=st.integers(1, 12))
def test_info_nce_is_the_papers(n: int, seed: int, temperature: float, groups: int) -> None:
    random = np.random.default_rng(seed)
    queries, keys = random.normal(0, 1, (2, n, 5))
    alike = random.integers(-1, groups, n)
    excluded = (alike[:, None] == alike) & (alike[:, None] >= 0)
    assert (same(torch.from_numpy(alike)).numpy() == excluded).all()
    ours = info_nce(
        torch.from_numpy(queries), torch.from_numpy(keys), torch.tensor(temperature), torch.from_numpy(excluded)
    )
    assert float(ours) == pytest.approx(plain_info_nce(queries, keys, temperature, excluded), rel=1e-4, abs=1e-5)


def test_no_window_is_no_loss_and_still_has_gradients() -> None:
    queries, temperature = torch.zeros(0, 5, requires_grad=True), torch.tensor(0.1, requires_grad=True)
    loss = info_nce(queries, torch.zeros(0, 5), temperature)
    loss.backward()
    assert float(loss.detach()) == 0
    assert temperature.grad is not None


def features(n: int, seed: int, first: int = 0, video: float = 0.6, text: float = 0.6) -> Features:
    random = torch.Generator().manual_seed(seed)
    imu, v, t = (torch.randn(n, 8, generator=random) for _ in range(3))
    has_video, has_text = (torch.rand(n, generator=random) < share for share in (video, text))
    numbers = torch.arange(first, first + n)
    return Features(imu, v * has_video[:, None], t * has_text[:, None], has_video, has_text, numbers, numbers % 3)


def plain_nearest(kept: list[Features], size: int, query: Features) -> list[int]:
    """Eq. 3 one window at a time; the window number of the neighbour, or -1."""
    rows = [(f, i) for f in kept for i in range(len(f.window))][-size:]
    found = []
    for n in range(len(query.window)):
        best, place = -math.inf, -1
        kind = (
            "video"
            if query.has_video[n] and any(f.has_video[i] and int(f.window[i]) != int(query.window[n]) for f, i in rows)
            else "text"
        )
        if getattr(query, f"has_{kind}")[n]:
            mine = getattr(query, kind)[n]
            for f, i in rows:
                if not getattr(f, f"has_{kind}")[i] or int(f.window[i]) == int(query.window[n]):
                    continue
                theirs = getattr(f, kind)[i]
                cosine = float(mine @ theirs / (mine.norm() * theirs.norm()))
                if cosine > best:
                    best, place = cosine, int(f.window[i])
        found.append(place)
    return found


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), max_size=6),
    size=st.integers(1, 20),
    seed=st.integers(0, 999),
    again=st.booleans(),
)
def test_the_queue_keeps_the_latest_and_finds_the_nearest(sizes: list[int], size: int, seed: int, again: bool) -> None:
    queue, kept, first = FeatureQueue(size, 8), [], 0
    for number, n in enumerate(sizes):
        kept.append(features(n, seed + number, first))
        queue.push(kept[-1])
        first += n
    query = features(7, seed + 99, 0 if again else first)
    index = queue.nearest(query)
    windows = [int(queue.window[i]) if i >= 0 else -1 for i in index.tolist()]
    assert windows == plain_nearest(kept, size, query)


CONFIG = Configuration(batch=12, queue=32)


def step(prepared: Prepared, primus: Primus, number: int = 0) -> dict[str, float]:
    chosen = list(windows_of(prepared, CONFIG).training(CONFIG, 0, 0, 0, 1))[number]
    batch = windows_of(prepared, CONFIG).batch(chosen, torch.device("cpu"))
    draw = Draw(0, "training", number, 12, slice(None), torch.device("cpu"))
    with torch.no_grad():
        losses = primus(batch, draw, lambda own: own, True)
    return {name: float(value) for name, value in losses.items()}


def test_the_loss_is_the_weighted_sum_of_its_terms(prepared: Prepared) -> None:
    torch.manual_seed(0)
    primus = Primus("primus", {"ss": 0.5, "mm": 2.0, "nn": 3.0}, ("scale", "reverse"), 0.1, 32)
    assert step(prepared, primus)["nn"] == 0  # the queue is empty
    losses = step(prepared, primus, 1)
    assert min(losses[name] for name in ("ss", "mm_video", "mm_text", "nn_imu", "nn_video", "nn_text")) > 0
    assert losses["mm"] == pytest.approx(losses["mm_video"] + losses["mm_text"])
    assert losses["loss"] == pytest.approx(0.5 * losses["ss"] + 2 * losses["mm"] + 3 * losses["nn"], rel=1e-5)


def test_a_term_of_weight_zero_is_not_computed(prepared: Prepared) -> None:
    primus = Primus("primus", {"ss": 0.0, "mm": 1.0, "nn": 0.0}, ("scale",), 0.1, 32)
    assert set(step(prepared, primus)) == {"mm", "mm_video", "mm_text", "loss"}
    assert not any(p.requires_grad for p in primus.encoder.ssl_head.parameters())


def test_multimodal_losses_are_of_the_windows_that_have_them_by_hand(prepared: Prepared) -> None:
    torch.manual_seed(0)
    primus = Primus("primus", {"mm": 1.0}, (), 0.1, 32)
    data = windows_of(prepared, CONFIG)
    chosen = next(data.training(CONFIG, 0, 0, 0, 1))
    batch = data.batch(chosen, torch.device("cpu"))
    losses = step(prepared, primus)
    with torch.no_grad():
        embedding = primus.encoder.embed(batch.imu).numpy()
    caption = np.array(prepared.caption)[chosen.numpy()]
    alike = (caption[:, None] == caption) & (caption[:, None] >= 0)
    has_text, has_video = caption >= 0, np.isfinite(np.array(prepared.tower("made").video)[chosen.numpy()]).all(axis=1)
    assert 0 < has_text.sum() < 12
    assert 0 < has_video.sum() < 12
    text = np.pad(np.array(prepared.tower("made").text), ((0, 0), (0, 480)))[caption[has_text]]
    video = np.pad(np.array(prepared.tower("made").video), ((0, 0), (0, 480)))[chosen.numpy()[has_video]]
    for name, has, keys in (("mm_text", has_text, text), ("mm_video", has_video, video)):
        expected = plain_info_nce(embedding[has], keys, 0.1, alike[has][:, has])
        assert losses[name] == pytest.approx(expected, rel=1e-4)


def test_where_no_loss_trains_the_multimodal_head_the_embedding_is_the_features() -> None:
    primus = Primus("primus", {"ss": 1.0}, ("scale",), 0.1, 8)
    primus.finish()
    x = torch.randn(3, 6, 250) + 5
    with torch.no_grad():
        torch.testing.assert_close(primus.encoder.embed(x), primus.encoder.features(x))
