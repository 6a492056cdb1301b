"""What training needs of any encoder."""

from __future__ import annotations

import abc

from torch import Tensor, nn


class TrainableEncoder(nn.Module, abc.ABC):
    """A PyTorch encoder whose `state_dict` holds the tensors that its architecture lists, under the same names."""

    @abc.abstractmethod
    def embed(self, windows: Tensor) -> Tensor:
        """The embedding `(B, 512)` of windows `(B, 6, 250)`: what the architecture's graph gives."""
