"""A GRU whose gradient takes one pass over its weights instead of one for each step: pretraining's time on a CPU.

PyTorch's own backward adds to the gradient of the recurrent weights (3 MB here) at each of the 32 steps. Here the
gates' gradients of all steps are kept, and multiplied once. Gradients are written where the values were that they come
from: memory that is asked for anew costs a CPU more than the arithmetic on it. The values are `torch.nn.GRU`'s but for
rounding.
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
        (batch, steps, inputs), hidden = x.shape, w_hh.shape[1]
        two = 2 * hidden  # reset and update, whose biases are added once for all steps, by an input that is always 1
        given = x.new_ones(steps, batch, inputs + 1)
        given[..., :inputs] = x.transpose(0, 1)
        bias = torch.cat([b_ih[:two] + b_hh[:two], b_ih[two:]])
        gates = given.view(-1, inputs + 1) @ torch.cat([w_ih, bias[:, None]], dim=1).T
        gates = gates.view(steps, batch, 3 * hidden)
        parts = x.new_empty(steps, batch, hidden)  # what the state gives to new
        parts[0] = b_hh[two:]  # the first state is 0
        states = x.new_empty(steps + 1, batch, hidden)
        states[0] = 0
        of_two, of_new = w_hh[:two].T, w_hh[two:].T
        for step in range(steps):
            if step:
                gates[step, :, :two].addmm_(states[step], of_two)
                torch.addmm(b_hh[two:], states[step], of_new, out=parts[step])
            gates[step, :, :two].sigmoid_()
            reset, update, new = torch.split(gates[step], hidden, dim=1)
            # tanh(x) is 2 sigmoid(2 x) - 1, and PyTorch's sigmoid is three times as fast
            new.addcmul_(reset, parts[step]).mul_(2).sigmoid_().mul_(2).sub_(1)
            torch.lerp(new, states[step], update, out=states[step + 1])
        ctx.save_for_backward(given, w_ih, w_hh, states)
        ctx.values = gates, parts
        return states[-1].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        given, w_ih, w_hh, states = ctx.saved_tensors
        if ctx.values is None:
            raise RuntimeError(
                "the gradient of this recurrence was taken already, in the memory of its values; "
                "run the encoder again for another, or take the gradient of the sum of what you want gradients of"
            )
        (gates, parts), ctx.values = ctx.values, None
        steps, batch, hidden = parts.shape
        two = 2 * hidden
        sigmoid, tanh = torch.ops.aten.sigmoid_backward.grad_input, torch.ops.aten.tanh_backward.grad_input
        d_state = gradients[0].clone()
        other, kept = torch.empty_like(d_state), torch.empty_like(d_state)
        for step in reversed(range(steps)):
            (reset, update, new), part = torch.split(gates[step], hidden, dim=1), parts[step]
            torch.sub(states[step], new, out=other).mul_(d_state)
            torch.mul(d_state, update, out=kept)
            sigmoid(other, update, grad_input=update)
            tanh(d_state.sub_(kept), new, grad_input=new)
            torch.mul(new, part, out=other)
            torch.mul(new, reset, out=part)
            sigmoid(other, reset, grad_input=reset)
            if step:  # nothing asks for the gradient of the first state
                kept.addmm_(gates[step, :, :two], w_hh[:two]).addmm_(part, w_hh[two:])
                d_state, kept = kept, d_state
        to_gates, to_parts = gates.view(-1, 3 * hidden), parts.view(-1, hidden)  # gradients by now
        before = states[:-1].view(-1, hidden)
        d_given = (given.view(-1, given.shape[2]).T @ to_gates).T
        d_hh = torch.empty_like(w_hh)
        torch.mm(to_gates[:, :two].T, before, out=d_hh[:two])
        torch.mm(to_parts.T, before, out=d_hh[two:])
        return (
            (to_gates @ w_ih).view(steps, batch, -1).transpose(0, 1),
            d_given[:, :-1],
            d_hh,
            d_given[:, -1],
            torch.cat([d_given[:two, -1], to_parts.sum(dim=0)]),
        )
