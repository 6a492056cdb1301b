"""The peers of benchmarks/export.py.

The same weights through the default converters, as their documentation shows them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from primus_models.checkpoint import Checkpoint
from primus_models.encoders import encoder
from primus_models.encoders.recurrence import LastStateGRU


class Embedding(torch.nn.Module):
    """The encoder with its multimodal head alone, as it is deployed."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.encoder = encoder(checkpoint.architecture)
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in checkpoint.tensors.items()}
        self.encoder.load_state_dict(tensors, strict=False)
        # Converters know PyTorch's own GRU, and unroll what only inherits from it: a peer gets no slower a network.
        for parent in list(self.encoder.modules()):
            for name, child in parent.named_children():
                if isinstance(child, LastStateGRU):
                    plain = torch.nn.GRU(child.input_size, child.hidden_size, batch_first=True)
                    plain.load_state_dict(child.state_dict())
                    setattr(parent, name, plain)

    def forward(self, imu: torch.Tensor) -> torch.Tensor:
        """(B, 6, 250) -> (B, 512)."""
        embedding: torch.Tensor = self.encoder.embed(imu)
        return embedding


def eager(module: Embedding) -> Callable[[np.ndarray], np.ndarray]:
    """PyTorch as it stands."""
    torch.set_num_threads(1)

    def call(window: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(window)).numpy()

    return call


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The converters report their progress at length; only errors are of interest here."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
    logging.disable(level)


def dynamo_onnx(module: Embedding, folder: Path) -> Path:
    """torch.onnx.export with dynamo: the GRU operator, fp32."""
    path = folder / "dynamo-fp32.onnx"
    with _quiet():
        batch = torch.export.Dim("batch", min=1, max=4096)
        program = torch.onnx.export(
            module,
            (torch.zeros(2, 6, 250),),
            dynamo=True,
            input_names=["imu"],
            output_names=["embedding"],
            dynamic_shapes={"imu": {0: batch}},
            external_data=False,
        )
        program.save(str(path))
    return path


def quantized_dynamic_onnx(fp32: Path, folder: Path) -> Path:
    """Onnxruntime's quantize_dynamic on the exporter's file."""
    from onnxruntime.quantization import quantize_dynamic

    path = folder / "dynamo-quantize_dynamic.onnx"
    with _quiet():
        quantize_dynamic(str(fp32), str(path))
    return path


def litert_torch_fp32(module: Embedding, folder: Path) -> Path:
    """litert-torch's convert: the recurrence unrolled, fp32."""
    import litert_torch

    path = folder / "litert-torch-fp32.tflite"
    with _quiet():
        litert_torch.convert(module.eval(), (torch.zeros(1, 6, 250),)).export(str(path))
    return path


def litert_dynamic_range(fp32: Path, folder: Path) -> Path:
    """ai-edge-quantizer's dynamic-range int8 recipe on litert-torch's file."""
    from ai_edge_quantizer import quantizer, recipe

    path = folder / "litert-torch-dynamic-int8.tflite"
    with _quiet():
        maker = quantizer.Quantizer(str(fp32))
        maker.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        maker.quantize().export_model(str(path))
    return path
