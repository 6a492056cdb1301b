"""The quick GRU is PyTorch's GRU: values, and gradients of all it depends on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from primus_models.encoders.recurrence import LastStateGRU


@pytest.mark.parametrize(("batch", "steps", "inputs", "hidden"), [(1, 1, 3, 4), (5, 7, 3, 8), (16, 32, 32, 64)])
def test_values_and_gradients_are_pytorchs(batch: int, steps: int, inputs: int, hidden: int) -> None:
    torch.manual_seed(0)
    ours, theirs = LastStateGRU(inputs, hidden, batch_first=True), nn.GRU(inputs, hidden, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    weight, found = torch.randn(batch, hidden), []
    for gru in (ours, theirs):
        x = torch.randn(batch, steps, inputs, generator=torch.Generator().manual_seed(1), requires_grad=True)
        _, state = gru(x)
        (state[0] * weight).sum().backward()
        found.append([state[0].detach(), x.grad, *(p.grad for p in gru.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_without_gradients_it_is_pytorchs_own() -> None:
    gru = LastStateGRU(3, 8, batch_first=True)
    x = torch.randn(4, 6, 3)
    with torch.no_grad():
        outputs, state = nn.GRU.forward(gru, x)
        assert torch.equal(gru(x)[1], state)
        assert torch.equal(gru(x)[0], outputs[:, -1:])


def test_a_second_gradient_is_refused_since_the_first_took_the_memory() -> None:
    """It must never be silently wrong: the values that it needs are gone."""
    gru = LastStateGRU(3, 8, batch_first=True)
    loss = gru(torch.randn(4, 6, 3))[1].sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="run the encoder again"):
        loss.backward()
