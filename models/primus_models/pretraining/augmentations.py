"""The transformations of SimCLR-HAR (arXiv 2011.11542, section 3.3; paper section II-A), each on a whole batch at once.

After them those that differ from wearer to wearer: mount, vigour, and the gyroscope's bias (`primus_models.augment`).

All take windows (B, 6, T), accelerometer x y z and gyroscope x y z, and a `Draw`, work on the windows' own device, and
give (B, 6, T). None loops over windows. Both sensors sit on one board: what turns or swaps axes does so to both alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Final, TypeAlias

import torch
from torch import Tensor

from primus_models.augment import BIAS, HALF_TURNED, HALF_TURNS, ROLL, TILT, VIGOUR, YAW, rotation_by
from primus_models.pretraining.draws import Draw

Augmentation: TypeAlias = Callable[[Tensor, Draw], Tensor]

_SCALE, _NOISE, _WARP = 0.1, 0.05, 0.2
_SEGMENTS, _KNOTS = 4, 4


def noise(x: Tensor, draw: Draw) -> Tensor:
    """White noise, its deviation 5 % of that of each sensor's motion in the window."""
    deviation = (x - x.mean(dim=2, keepdim=True)).reshape(len(x), 2, 3, -1).pow(2).mean(dim=(2, 3)).sqrt()
    return x + _NOISE * draw.normal(*x.shape[1:]).to(x.dtype) * deviation.repeat_interleave(3, dim=1)[:, :, None]


def scale(x: Tensor, draw: Draw) -> Tensor:
    """Each channel times a factor of its own, of mean 1 and deviation 0.1."""
    return x * (1 + _SCALE * draw.normal(x.shape[1], 1)).to(x.dtype)


def rotate(x: Tensor, draw: Draw) -> Tensor:
    """The sensor mounted in any other way: a rotation, all being equally likely."""
    q = torch.nn.functional.normalize(draw.normal(4), dim=1)  # unit quaternions of normal numbers are uniform
    w, i, j, k = q.unbind(dim=1)
    rows = [
        1 - 2 * (j * j + k * k), 2 * (i * j - k * w), 2 * (i * k + j * w),
        2 * (i * j + k * w), 1 - 2 * (i * i + k * k), 2 * (j * k - i * w),
        2 * (i * k - j * w), 2 * (j * k + i * w), 1 - 2 * (i * i + j * j),
    ]  # fmt: skip
    rotation = torch.stack(rows, dim=1).reshape(-1, 1, 3, 3).to(x.dtype)
    turned: Tensor = rotation @ x.reshape(len(x), 2, 3, -1)
    return turned.flatten(1, 2)


def negate(x: Tensor, draw: Draw) -> Tensor:
    """Every value with the other sign."""
    return -x


def reverse(x: Tensor, draw: Draw) -> Tensor:
    """Time runs backwards."""
    return x.flip(dims=(2,))


def shuffle_channels(x: Tensor, draw: Draw) -> Tensor:
    """The axes in another order, never in their own; the same for both sensors."""
    orders = torch.tensor([order for order in permutations(range(3)) if order != (0, 1, 2)])
    order = draw.choice(orders)
    index = torch.cat([order, order + 3], dim=1)[:, :, None].expand(-1, -1, x.shape[2])
    return x.gather(1, index)


def permute_segments(x: Tensor, draw: Draw) -> Tensor:
    """The window cut into four pieces of equal length, put together in another order; what is left over stays last."""
    length = x.shape[2] // _SEGMENTS
    begin = draw.order(_SEGMENTS) * length
    index = (begin[:, :, None] + torch.arange(length, device=x.device)).flatten(1)
    rest = torch.arange(_SEGMENTS * length, x.shape[2], device=x.device).expand(len(x), -1)
    index = torch.cat([index, rest], dim=1)[:, None].expand(-1, x.shape[1], -1)
    return x.gather(2, index)


def warp(x: Tensor, draw: Draw) -> Tensor:
    """Time runs faster here and slower there, by a smooth random pace; beginning and end stay where they are."""
    steps = x.shape[2]
    paces = (1 + _WARP * draw.normal(_KNOTS)).clamp_min(0.1)
    pace = torch.nn.functional.interpolate(paces[:, None], steps - 1, mode="linear", align_corners=True)[:, 0]
    time = torch.cat([torch.zeros_like(pace[:, :1]), pace.cumsum(dim=1)], dim=1)
    time = time / time[:, -1:] * (steps - 1)
    left = time.floor().long().clamp(0, steps - 2)
    share = (time - left)[:, None].to(x.dtype)
    index = left[:, None].expand(-1, x.shape[1], -1)
    return x.gather(2, index) * (1 - share) + x.gather(2, index + 1) * share


def mount(x: Tensor, draw: Draw) -> Tensor:
    """Worn another way: half of the windows by a half turn, all tilted, rolled and turned sideways as people's are."""
    half_turns = HALF_TURNS.to(x.device)
    turn = draw.choice(half_turns)
    turn = torch.where(draw.uniform(1) < HALF_TURNED, turn, half_turns[0])
    gravity = x[:, :3].mean(dim=2)
    vertical = gravity / gravity.norm(dim=1, keepdim=True).clamp_min(1e-6)
    vector = TILT * draw.normal(3) + YAW * draw.normal(1) * vertical
    vector = vector + torch.nn.functional.pad(ROLL * draw.normal(1), (2, 0))
    rotation = (turn[:, :, None] * rotation_by(vector)).to(x.dtype)
    return torch.cat([rotation @ x[:, :3], rotation @ x[:, 3:]], dim=1)


def vigour(x: Tensor, draw: Draw) -> Tensor:
    """Moved more or less: what is not gravity times one factor, of a logarithm of deviation 0.15."""
    factor = (VIGOUR * draw.normal(1, 1)).exp().to(x.dtype)
    gravity = torch.nn.functional.pad(x[:, :3].mean(dim=2, keepdim=True), (0, 0, 0, 3))
    return gravity + (x - gravity) * factor


def bias(x: Tensor, draw: Draw) -> Tensor:
    """A constant rate on each axis of the gyroscope, of deviation 0.05 rad/s."""
    return x + torch.nn.functional.pad(BIAS * draw.normal(3, 1), (0, 0, 3, 0)).to(x.dtype)


AUGMENTATIONS: Final[dict[str, Augmentation]] = {
    "noise": noise,
    "scale": scale,
    "rotate": rotate,
    "negate": negate,
    "reverse": reverse,
    "shuffle-channels": shuffle_channels,
    "permute-segments": permute_segments,
    "warp": warp,
    "mount": mount,
    "vigour": vigour,
    "bias": bias,
}


def augmented(x: Tensor, names: Sequence[str], draw: Draw) -> Tensor:
    """One transformation after the other."""
    for name in names:
        x = AUGMENTATIONS[name](x, draw)
    return x
