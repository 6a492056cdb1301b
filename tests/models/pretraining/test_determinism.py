"""What is asked of PyTorch while a run trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric

from primus_models.encoders import encoder
from primus_models.preparation.prepared import Prepared
from primus_models.pretraining.configuration import Configuration
from primus_models.pretraining.determinism import deterministic
from primus_models.pretraining.run import Run


def test_on_a_gpu_sums_are_to_come_in_one_order_and_afterwards_as_before() -> None:
    asked: list[bool] = []

    @deterministic(torch.device("cuda"))
    def fail() -> None:
        asked.append(torch.are_deterministic_algorithms_enabled())
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert asked == [True]
    assert not torch.are_deterministic_algorithms_enabled()


def test_on_a_processor_nothing_is_asked_for(prepared: Prepared, tmp_path: Path) -> None:
    asked: list[bool] = []
    run = Run(Fabric(accelerator="cpu", devices=1), Configuration(batch=64, epochs=1), prepared, tmp_path)
    run.train(lambda _: asked.append(torch.are_deterministic_algorithms_enabled()))
    assert asked
    assert not any(asked)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("architecture", ["primus", "tempo"])
def test_a_step_on_a_gpu_gives_the_same_gradients_each_time(architecture: str) -> None:
    model = encoder(architecture).cuda()
    imu = torch.randn(64, 6, 250, generator=torch.Generator().manual_seed(0)).cuda()
    found = []
    for _ in range(3):
        model.zero_grad()
        with deterministic(imu.device):
            model.eval().features(imu).square().sum().backward()
        found.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert found[0]
    assert all(torch.equal(one, other) for others in found[1:] for one, other in zip(found[0], others, strict=True))
