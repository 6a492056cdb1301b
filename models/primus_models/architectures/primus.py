"""The paper's encoder (arXiv 2411.15127, Fig. 2): 1,376,204 parameters, 1,113,548 of them exported.

Tensor names are those of the published checkpoint. There is no non-linearity between the convolutions, and the GRU
steps over the 32 *channels*, reading the 32 pooled positions of each: published weights only fit that.
"""

from __future__ import annotations

from primus_models.graph import (
    EMBEDDING,
    GRU,
    INPUT,
    AdaptiveAvgPool1d,
    Array,
    Conv1d,
    Graph,
    GroupNorm,
    Linear,
    MaxPool1d,
    Shape,
)  # fmt: skip

SHAPES: dict[str, Shape] = {
    "backbone.0.weight": (6,),
    "backbone.0.bias": (6,),
    "backbone.1.net.0.weight": (32, 6, 10),
    "backbone.2.net.0.weight": (32, 32, 5),
    "backbone.3.net.0.weight": (32, 32, 5),
    "backbone.4.weight": (32,),
    "backbone.4.bias": (32,),
    "backbone.5.weight_ih_l0": (1536, 32),
    "backbone.5.weight_hh_l0": (1536, 512),
    "backbone.5.bias_ih_l0": (1536,),
    "backbone.5.bias_hh_l0": (1536,),
    "mmcl_head.weight": (512, 512),
    "mmcl_head.bias": (512,),
}
TRAINING_SHAPES: dict[str, Shape] = {"ssl_head.weight": (512, 512), "ssl_head.bias": (512,)}


def build(tensors: dict[str, Array]) -> Graph:
    """`(6, 250)` -> norm, three convolutions, 32 positions, norm, GRU, multimodal head -> `(512,)`."""
    t = tensors
    return Graph(
        (
            GroupNorm(INPUT, "normed", 2, t["backbone.0.weight"], t["backbone.0.bias"]),  # (6, 250)
            Conv1d("normed", "conv1", t["backbone.1.net.0.weight"], dilation=2),  # (32, 232)
            MaxPool1d("conv1", "pool1", 3),  # (32, 77)
            Conv1d("pool1", "conv2", t["backbone.2.net.0.weight"], dilation=2),  # (32, 69)
            MaxPool1d("conv2", "pool2", 3),  # (32, 23)
            Conv1d("pool2", "conv3", t["backbone.3.net.0.weight"], dilation=2),  # (32, 15)
            AdaptiveAvgPool1d("conv3", "pool3", 32),  # (32, 32)
            GroupNorm("pool3", "steps", 4, t["backbone.4.weight"], t["backbone.4.bias"]),  # (32, 32)
            GRU(
                "steps",
                "hidden",
                t["backbone.5.weight_ih_l0"],
                t["backbone.5.weight_hh_l0"],
                t["backbone.5.bias_ih_l0"],
                t["backbone.5.bias_hh_l0"],
            ),  # (512,)
            Linear("hidden", EMBEDDING, t["mmcl_head.weight"], t["mmcl_head.bias"]),  # (512,)
        )
    )
