from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_clip import small_clip, write_video


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_clip(tmp_path_factory.mktemp("models") / "small-clip")


@pytest.fixture(scope="session")
def grey_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s at 10 Hz, 96 x 64 pixels: each second a tenth of white brighter, from 0 on, and then from 0 again."""
    levels = np.repeat(np.arange(20) % 10 * 25, 10).astype(np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (200, 64, 96, 3))
    return write_video(tmp_path_factory.mktemp("videos") / "grey.mp4", np.ascontiguousarray(frames))


@pytest.fixture(scope="session")
def aria_frames() -> NDArray[np.uint8]:
    """The RGB frames (8, 1408, 1408, 3) of a real Aria recording."""
    recording = Path(__file__).parents[4] / "shared" / "data" / "aria-recording.vrs"
    if not recording.exists():
        pytest.skip("there is no Aria recording (shared/data/aria-recording.vrs)")
    core = pytest.importorskip("projectaria_tools.core", reason="pip install 'primus-imu[prepare]'")
    provider = importlib.import_module(f"{core.__name__}.data_provider").create_vrs_data_provider(str(recording))
    stream = provider.get_stream_id_from_label("camera-rgb")
    images = [provider.get_image_data_by_index(stream, at)[0] for at in range(provider.get_num_data(stream))]
    return np.stack([image.to_numpy_array() for image in images])
