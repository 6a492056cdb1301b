"""The transformations: what each does to a window, alone, and the same on any number of processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from primus_models.pretraining.augmentations import AUGMENTATIONS, augmented
from primus_models.pretraining.draws import Draw, part_of, permutation

CPU = torch.device("cpu")


def windows(count: int = 8) -> torch.Tensor:
    return torch.randn(count, 6, 250, generator=torch.Generator().manual_seed(0)) + torch.tensor(
        [0.0, 9.8, 0, 0, 0, 0]
    ).reshape(1, 6, 1)


def draw(seed: int = 0, total: int = 8, part: slice = slice(None), step: int = 0) -> Draw:
    return Draw(seed, "test", step, total, part, CPU)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_keeps_the_shape_and_changes_every_window(name: str) -> None:
    x = windows()
    y = AUGMENTATIONS[name](x, draw())
    assert y.shape == x.shape
    assert torch.isfinite(y).all()
    changed = (y - x).abs().amax(dim=(1, 2)) > 1e-6
    # One order of the four segments in 24 is their own.
    assert changed.all() or (name == "permute-segments" and changed.sum() >= 6)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_number_of_processes_changes_nothing(name: str) -> None:
    x = windows()
    whole = AUGMENTATIONS[name](x, draw())
    parts = [AUGMENTATIONS[name](x[p := part_of(r, 4, 8)], draw(part=p)) for r in range(4)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_steps_and_seeds_differ_and_repeat(name: str) -> None:
    x = windows()
    if name in ("negate", "reverse"):
        return
    first = AUGMENTATIONS[name](x, draw())
    assert torch.equal(AUGMENTATIONS[name](x, draw()), first)
    assert not torch.equal(AUGMENTATIONS[name](x, draw(step=1)), first)
    assert not torch.equal(AUGMENTATIONS[name](x, draw(seed=1)), first)


def test_a_rotation_keeps_lengths_and_turns_both_sensors_alike() -> None:
    x = windows()
    x[:, 3:] = x[:, :3]
    y = AUGMENTATIONS["rotate"](x, draw())
    torch.testing.assert_close(y[:, :3].norm(dim=1), x[:, :3].norm(dim=1))
    torch.testing.assert_close(y[:, 3:], y[:, :3])
    cross = torch.linalg.cross(y[:, :3, 0], y[:, :3, 1])
    turned = AUGMENTATIONS["rotate"](
        torch.cat([torch.linalg.cross(x[:, :3, 0], x[:, :3, 1])] * 2, dim=1)[:, :, None], draw()
    )
    torch.testing.assert_close(cross, turned[:, :3, 0], rtol=1e-4, atol=1e-4)  # no mirror among them


def test_reversing_and_negating_twice_gives_the_window_back() -> None:
    x = windows()
    for name in ("reverse", "negate"):
        assert torch.equal(AUGMENTATIONS[name](AUGMENTATIONS[name](x, draw()), draw()), x)


def test_axes_are_shuffled_alike_and_never_left_in_place() -> None:
    x = windows(64)
    y = AUGMENTATIONS["shuffle-channels"](x, draw(total=64))
    for before, after in zip(x, y, strict=True):
        order = [next(k for k in range(3) if torch.equal(after[i], before[k])) for i in range(3)]
        assert sorted(order) == [0, 1, 2] != order
        assert all(torch.equal(after[3 + i], before[3 + order[i]]) for i in range(3))


def test_segments_are_pieces_of_the_window_in_another_order() -> None:
    x = torch.arange(250.0).expand(4, 6, 250)
    y = AUGMENTATIONS["permute-segments"](x, draw(total=4))
    assert (y.sort(dim=2).values == x).all()
    assert ((y[:, :, 1:] - y[:, :, :-1]) != 1).sum(dim=2).max() <= 4


def test_a_warp_keeps_both_ends_and_the_direction_of_time() -> None:
    x = torch.arange(250.0).expand(16, 6, 250)
    y = AUGMENTATIONS["warp"](x, draw(total=16))
    torch.testing.assert_close(y[:, :, 0], x[:, :, 0])
    torch.testing.assert_close(y[:, :, -1], x[:, :, -1], rtol=1e-4, atol=1e-2)
    assert (y[:, :, 1:] > y[:, :, :-1]).all()
    assert (y - x).abs().max() > 2


def test_scaling_is_by_a_factor_a_channel_of_deviation_a_tenth() -> None:
    x = torch.ones(2000, 6, 4)
    y = AUGMENTATIONS["scale"](x, draw(total=2000))
    assert (y == y[:, :, :1]).all()
    assert abs(float(y.mean()) - 1) < 0.01
    assert abs(float(y[:, :, 0].std()) - 0.1) < 0.01


def test_noise_is_measured_by_each_sensors_motion() -> None:
    x = windows(64)
    x[:, 3:] *= 100
    added = AUGMENTATIONS["noise"](x, draw(total=64)) - x
    assert abs(float(added[:, :3].std()) - 0.05) < 0.005
    assert abs(float(added[:, 3:].std()) - 5) < 0.5


def test_a_mount_turns_both_sensors_alike_and_half_of_them_upside_down() -> None:
    x = torch.zeros(2000, 6, 4)
    x[:, 1], x[:, 4] = 9.81, 1.0
    y = AUGMENTATIONS["mount"](x, draw(total=2000))
    torch.testing.assert_close(y[:, 3:] * 9.81, y[:, :3])
    torch.testing.assert_close(y[:, 3:].norm(dim=1), torch.ones(2000, 4))
    roll = torch.rad2deg((y[:, 3, 0] / y[:, 4, 0]).atan())
    assert 18 < roll.std() < 25
    assert 0.2 < (y[:, 4, 0] < 0).float().mean() < 0.3


def test_vigour_and_bias_leave_gravity_alone() -> None:
    x = windows(500)
    stronger, biased = AUGMENTATIONS["vigour"](x, draw(total=500)), AUGMENTATIONS["bias"](x, draw(total=500))
    torch.testing.assert_close(stronger[:, :3].mean(dim=2), x[:, :3].mean(dim=2), rtol=1e-4, atol=1e-4)
    factors = stronger[:, 3:] / x[:, 3:]
    torch.testing.assert_close(factors, factors[:, :1, :1].expand_as(factors), rtol=1e-3, atol=1e-3)
    assert 0.12 < factors[:, 0, 0].log().std() < 0.18
    assert torch.equal(biased[:, :3], x[:, :3])
    assert 0.04 < (biased - x)[:, 3:, 0].std() < 0.06


def test_one_after_the_other() -> None:
    x = windows()
    assert torch.equal(augmented(x, ("negate", "reverse"), draw()), -x.flip(dims=(2,)))


def test_an_epochs_order_is_a_permutation_of_its_own() -> None:
    first, second = (permutation(0, "order", epoch, 100).numpy() for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(100))
    assert (first != second).any()
    assert (permutation(0, "order", 0, 100).numpy() == first).all()
    assert np.unique(permutation(1, "order", 0, 100).numpy()).size == 100
