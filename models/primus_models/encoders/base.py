"""What training needs of any encoder."""

from __future__ import annotations

import abc

from torch import Tensor, nn


class TrainableEncoder(nn.Module, abc.ABC):
    """A PyTorch encoder whose `state_dict` holds the tensors that its architecture lists, under the same names.

    Two heads read its features (paper, Fig. 2): `ssl_head` for the losses between windows alone, `mmcl_head` for those
    with text and video, whose output is the embedding. Both give (B, 512).
    """

    ssl_head: nn.Module
    mmcl_head: nn.Module

    @abc.abstractmethod
    def features(self, windows: Tensor) -> Tensor:
        """What both heads read, `(B, F)`, of windows `(B, 6, 250)`."""

    def embed(self, windows: Tensor) -> Tensor:
        """The embedding `(B, 512)` of windows `(B, 6, 250)`: what the architecture's graph gives."""
        embedding: Tensor = self.mmcl_head(self.features(windows))
        return embedding
