"""What training does to a window so that the encoder does not learn one person's mounting, pace or sensor.

All on batches `(B, 6, T)` in m/s^2 and rad/s. The strengths are those that did well in a pilot, where twice as strong
did worse; the roll was chosen on people left out (`released/tempo.md`). Rotations turn accelerometer and gyroscope
alike, so gravity stays gravity.
"""

from __future__ import annotations

import torch
from torch import Tensor

from primus_models.graph import WINDOW

LARGEST_WARP = 0.12
# Samples that a warped window may reach over: its middle 250 are the unwarped ones.
REACH = 284
# Share of windows that are mounted another way.
HALF_TURNED = 0.5
# Standard deviations in radians: tilts about any axis, turns about the vertical, and of the temple about its own normal
# (the sensor's z), by which mounts differ most: those of 7 of 27 people sat more than 20 degrees off.
TILT, YAW, ROLL = 0.12, 0.2, 0.35
# Standard deviations: of the logarithm of how vigorously somebody moves, and of a gyroscope's bias in rad/s.
VIGOUR, BIAS = 0.15, 0.05

# The sensor sat upside down, mirrored or as meant: the half turns about x, y and z, and none.
HALF_TURNS = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])


def augment(stretches: Tensor) -> Tensor:
    """Random training windows `(B, 6, 250)` from stretches `(B, 6, 284)`; draws from torch's global generator."""
    x = _warp(stretches)
    x = _rescale_motion(x)
    x = _turn(x)
    return _sensor_errors(x)


def _sometimes(batch: int, probability: float) -> Tensor:
    return (torch.rand(batch, 1, 1) < probability).float()


def _warp(stretches: Tensor) -> Tensor:
    """Play half of the windows up to 12 % faster or slower; rates grow with the pace, accelerations with its square."""
    batch = len(stretches)
    exponent = (torch.rand(batch, 1, 1) * 2 - 1) * LARGEST_WARP * _sometimes(batch, 0.5)
    pace = exponent.exp()
    offsets = torch.arange(WINDOW) - (WINDOW - 1) / 2
    at = (REACH - 1) / 2 + pace[:, 0] * offsets
    left = at.floor().long().clamp(0, REACH - 2)
    share = (at - left)[:, None]
    index = left[:, None].expand(-1, 6, -1)
    x = stretches.gather(2, index) * (1 - share) + stretches.gather(2, index + 1) * share
    gravity = x[:, :3].mean(dim=2, keepdim=True)
    return torch.cat([gravity + (x[:, :3] - gravity) * pace**2, x[:, 3:] * pace], dim=1)


def _rescale_motion(x: Tensor) -> Tensor:
    """People move more or less vigorously; gravity does not."""
    factor = (VIGOUR * torch.randn(len(x), 1, 1)).exp()
    gravity = x[:, :3].mean(dim=2, keepdim=True)
    return torch.cat([gravity + (x[:, :3] - gravity) * factor, x[:, 3:] * factor], dim=1)


def _turn(x: Tensor) -> Tensor:
    """Mount the sensor another way: half of the windows by a half turn, all by a tilt, a turn sideways and a roll."""
    batch = len(x)
    flip = torch.where(
        torch.rand(batch) < HALF_TURNED, torch.randint(0, 4, (batch,)), torch.zeros(batch, dtype=torch.long)
    )
    gravity = x[:, :3].mean(dim=2)
    vertical = gravity / gravity.norm(dim=1, keepdim=True).clamp_min(1e-6)
    vector = TILT * torch.randn(batch, 3) + YAW * torch.randn(batch, 1) * vertical
    vector[:, 2] += ROLL * torch.randn(batch)
    rotation = HALF_TURNS[flip][:, :, None] * rotation_by(vector)
    return torch.cat([rotation @ x[:, :3], rotation @ x[:, 3:]], dim=1)


def rotation_by(vector: Tensor) -> Tensor:
    """Rotation matrices `(B, 3, 3)` for rotation vectors `(B, 3)` in radians."""
    skew = torch.zeros(len(vector), 3, 3, device=vector.device)
    skew[:, 0, 1], skew[:, 0, 2], skew[:, 1, 2] = -vector[:, 2], vector[:, 1], -vector[:, 0]
    rotation: Tensor = torch.linalg.matrix_exp(skew - skew.transpose(1, 2))
    return rotation


def _sensor_errors(x: Tensor) -> Tensor:
    """White noise, and for half of the windows a constant bias of the gyroscope."""
    batch = len(x)
    noise = torch.randn_like(x) * torch.tensor([0.01] * 3 + [0.003] * 3)[:, None]
    bias = BIAS * torch.randn(batch, 3, 1) * _sometimes(batch, 0.5)
    return x + noise + torch.cat([torch.zeros_like(bias), bias], dim=1)
