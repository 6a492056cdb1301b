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
        gates = x.new_empty(steps, len(x), 3 * hidden)  # reset, update, and the recurrent part of new
        new = x.new_empty(steps, len(x), hidden)
        gates[0] = b_hh  # the first state is 0
        for step in range(steps):
            if step:
                torch.addmm(b_hh, states[step], w_hh.T, out=gates[step])
            gate = gates[step, :, : 2 * hidden]
            gate.add_(given[step, :, : 2 * hidden]).sigmoid_()
            reset, update, part = torch.split(gates[step], hidden, dim=1)
            torch.addcmul(given[step, :, 2 * hidden :], reset, part, out=new[step]).tanh_()
            torch.lerp(new[step], states[step], update, out=states[step + 1])
        ctx.save_for_backward(x, w_ih, w_hh, states, gates, new)
        return states[-1].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        x, w_ih, w_hh, states, gates, news = ctx.saved_tensors
        steps, batch, hidden = news.shape
        to_state = torch.empty_like(gates)  # of what the product with the state gives
        to_new = torch.empty_like(news)  # of new before its tanh; of the other two gates the two are the same
        (d_state,) = gradients
        for step in reversed(range(steps)):
            new, before = news[step], states[step]
            reset, update, part = torch.split(gates[step], hidden, dim=1)
            d_reset, d_update, d_part = torch.split(to_state[step], hidden, dim=1)
            kept = d_state * update
            torch.ops.aten.sigmoid_backward.grad_input((before - new).mul_(d_state), update, grad_input=d_update)
            d_new = torch.ops.aten.tanh_backward.grad_input(d_state - kept, new, grad_input=to_new[step])
            torch.mul(d_new, reset, out=d_part)
            torch.ops.aten.sigmoid_backward.grad_input(d_new * part, reset, grad_input=d_reset)
            if step:  # nothing asks for the gradient of the first state
                d_state = torch.addmm(kept, to_state[step], w_hh)
        flat_state, flat_new = to_state.view(-1, 3 * hidden), to_new.view(-1, hidden)
        inputs = x.transpose(0, 1).reshape(-1, x.shape[2])
        gates_only, two = flat_state[:, : 2 * hidden], 2 * hidden
        to_inputs = torch.addmm(flat_new @ w_ih[two:], gates_only, w_ih[:two])
        return (
            to_inputs.view(steps, batch, -1).transpose(0, 1),
            torch.cat([gates_only.T @ inputs, flat_new.T @ inputs]),
            flat_state.T @ states[:-1].reshape(-1, hidden),
            torch.cat([gates_only.sum(dim=0), flat_new.sum(dim=0)]),
            flat_state.sum(dim=0),
        )
