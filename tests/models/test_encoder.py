from __future__ import annotations

import numpy as np
import pytest

from primus_models import architectures, reference
from primus_models.checkpoint import Checkpoint
from primus_models.errors import ArchitectureError
from primus_models.graph import Array

torch = pytest.importorskip("torch", reason="training needs the train extra")


def test_the_module_is_the_published_network() -> None:
    from primus_models.encoders import encoder

    primus = architectures.get("primus")
    module = encoder("primus")
    assert sum(parameter.numel() for parameter in module.parameters()) == 1_376_204
    assert {
        name: tuple(tensor.shape) for name, tensor in module.state_dict().items()
    } == primus.SHAPES | primus.TRAINING_SHAPES


def test_the_module_and_the_reference_agree_to_1e5_of_rms(tensors: dict[str, Array], imu: Array) -> None:
    from primus_models.encoders import encoder

    module = encoder("primus")
    module.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    with torch.no_grad():
        embedding = module.embed(torch.from_numpy(imu)).numpy()
        both = module(torch.from_numpy(imu))
    expected = reference.run(Checkpoint("primus", tensors).graph(), imu)["embedding"]
    assert np.abs(embedding - expected).max() <= 1e-5 * np.sqrt(np.mean(expected**2))
    assert np.array_equal(both["mmcl"].numpy(), embedding)
    assert both["ssl"].shape == (len(imu), 512)
    assert not np.allclose(both["ssl"].numpy(), embedding)


def test_a_module_s_weights_make_a_checkpoint() -> None:
    from primus_models.encoders import encoder, tensors_of

    module = encoder("primus")
    checkpoint = Checkpoint("primus", tensors_of(module))
    assert np.array_equal(checkpoint.tensors["mmcl_head.bias"], module.mmcl_head.bias.detach().numpy())


def test_an_unknown_architecture_is_named() -> None:
    from primus_models.encoders import encoder

    with pytest.raises(ArchitectureError, match=r"nosuch.*primus"):
        encoder("nosuch")
