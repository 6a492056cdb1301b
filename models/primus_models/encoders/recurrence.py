"""A GRU whose gradient takes one pass over its weights instead of one for each step: pretraining's time on a CPU.

PyTorch's own backward adds to the gradient of the recurrent weights (3 MB here) at each of the 32 steps. Here the
gates' gradients of all steps are kept, and multiplied once. The values are `torch.nn.GRU`'s but for rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class LastStateGRU(nn.GRU):
    """`torch.nn.GRU` of one layer, batch first, asked for its last hidden state; the same parameters and names."""

    def forward(self, x: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """`(B, T, input)` to the last step's state, as `(B, 1, hidden)` and `(1, B, hidden)`."""
        quick = x.device.type == "cpu" and x.dtype == torch.float32 and torch.is_grad_enabled() and hx is None
        if not quick or torch.is_autocast_enabled("cpu"):
            output, state = super().forward(x, hx)
            return output[:, -1:], state
        last: Tensor = _Recurrence.apply(  # type: ignore[no-untyped-call]
            x, self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0
        )
        return last[:, None], last[None]


class _Recurrence(torch.autograd.Function):
    """The last state `(B, H)` from inputs `(B, T, I)`; gates in PyTorch's order: reset, update, new."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
        steps, hidden = x.shape[1], w_hh.shape[1]
        given = torch.addmm(b_ih, x.transpose(0, 1).reshape(-1, x.shape[2]), w_ih.T).view(steps, len(x), 3 * hidden)
        states = x.new_zeros(steps + 1, len(x), hidden)
        gates = x.new_empty(steps, 4, len(x), hidden)  # reset, update, new, and the recurrent part of new
        for step in range(steps):
            before, (reset, update, new, part) = states[step], gates[step]
            from_state = torch.addmm(b_hh, before, w_hh.T)
            torch.sigmoid(given[step, :, :hidden] + from_state[:, :hidden], out=reset)
            torch.sigmoid(given[step, :, hidden : 2 * hidden] + from_state[:, hidden : 2 * hidden], out=update)
            part.copy_(from_state[:, 2 * hidden :])
            torch.tanh(torch.addcmul(given[step, :, 2 * hidden :], reset, part), out=new)
            torch.lerp(new, before, update, out=states[step + 1])
        ctx.save_for_backward(x, w_ih, w_hh, states, gates)
        return states[-1].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        x, w_ih, w_hh, states, gates = ctx.saved_tensors
        steps, batch, hidden = gates.shape[0], gates.shape[2], gates.shape[3]
        to_given = x.new_empty(steps, batch, 3 * hidden)
        to_state = x.new_empty(steps, batch, 3 * hidden)
        (d_state,) = gradients
        for step in reversed(range(steps)):
            before, (reset, update, new, part) = states[step], gates[step]
            d_new = d_state * (1 - update) * (1 - new * new)
            d_reset = d_new * part * reset * (1 - reset)
            d_update = d_state * (before - new) * update * (1 - update)
            torch.cat([d_reset, d_update, d_new], dim=1, out=to_given[step])
            torch.cat([d_reset, d_update, d_new * reset], dim=1, out=to_state[step])
            d_state = torch.addmm(d_state * update, to_state[step], w_hh)
        flat_given, flat_state = to_given.view(-1, 3 * hidden), to_state.view(-1, 3 * hidden)
        inputs = x.transpose(0, 1).reshape(-1, x.shape[2])
        return (
            (flat_given @ w_ih).view(steps, batch, -1).transpose(0, 1),
            flat_given.T @ inputs,
            flat_state.T @ states[:-1].reshape(-1, hidden),
            flat_given.sum(dim=0),
            flat_state.sum(dim=0),
        )
