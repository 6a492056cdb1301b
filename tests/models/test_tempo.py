"""Our own encoder: its graph is its PyTorch module, and its spectra are what they are said to be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from primus_export.windows import made_windows
from primus_models import reference
from primus_models.architectures import tempo
from primus_models.graph import EMBEDDING

torch = pytest.importorskip("torch", reason="the encoder's module needs the train extra")

from primus_models.encoders import encoder, tensors_of  # noqa: E402  (it needs torch)


def in_use() -> torch.nn.Module:
    """An encoder whose norms have seen windows, and whose scales and shifts are not 1 and 0."""
    torch.manual_seed(0)
    module = encoder("tempo").train()
    windows = torch.from_numpy(made_windows(64))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "norm" in name or "power" in name or "level" in name or "statistics" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
        for _ in range(30):
            module.embed(windows)
    return module.eval()


def test_the_graph_gives_what_the_module_gives() -> None:
    module, windows = in_use(), made_windows(40, seed=1)
    with torch.no_grad():
        expected = module.embed(torch.from_numpy(windows)).numpy()
    found = reference.run(tempo.build(tensors_of(module)), windows)[EMBEDDING]
    assert np.abs(found - expected).max() < 1e-5 * np.sqrt((expected**2).mean())


def test_its_tensors_are_those_that_the_architecture_lists() -> None:
    module = encoder("tempo")
    assert {name: tensor.shape for name, tensor in tensors_of(module).items()} == tempo.SHAPES | tempo.TRAINING_SHAPES
    assert sum(math.prod(shape) for shape in (tempo.SHAPES | tempo.TRAINING_SHAPES).values()) < 1_400_000


@pytest.mark.parametrize(("length", "bins"), [(tempo.FRAME, tempo.BINS), (250, tempo.FINE_BINS)])
def test_a_sine_of_amplitude_one_has_power_one_in_its_bin_and_a_constant_none(length: int, bins: int) -> None:
    rows, time = tempo.fourier(length, bins).astype(np.float64), np.arange(length)
    for number in (1, 3, bins):
        waves = rows @ np.sin(2 * np.pi * number * time / length + 0.7)
        power = waves[:bins] ** 2 + waves[bins:] ** 2
        # Bin 1 gives up a little for being blind to a constant, which its window leaks into.
        assert power[number - 1] == pytest.approx(1, abs=1e-4 if number > 1 else 0.4)
    assert np.abs(rows.sum(axis=1)).max() < 1e-6


def test_gravity_moves_no_spectrum() -> None:
    graph = tempo.build(tensors_of(in_use()))
    bins = {"frames.power": tempo.BINS, "fine.power": tempo.FINE_BINS}
    still = made_windows(5)[:1]  # at rest
    heavier = still + np.array([0, 3, 0, 0, 0, 0], np.float32)[:, None]
    first, second = (reference.run_all(graph, window) for window in (still, heavier))
    for name, count in bins.items():
        before, after = (values[name].reshape(-1, tempo.SIGNALS, count)[:, :3] for values in (first, second))
        assert np.allclose(before, after, rtol=1e-2)
