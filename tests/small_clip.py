"""A small CLIP model and small videos, made by the tests that need them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

SIZE, SEEN = 16, 32
"""Of the small CLIP: numbers in an embedding, pixels of the square that it sees."""


def small_clip(folder: Path, seed: int = 0) -> Path:
    """A CLIP model of transformers, randomly initialised, as its folder is on the hub."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(seed)
    shape = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={
            **shape,
            "vocab_size": 600,
            "max_position_embeddings": 77,
            "bos_token_id": 598,
            "eos_token_id": 599,
        },
        vision_config={**shape, "image_size": SEEN, "patch_size": 8},
        projection_dim=SIZE,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(letter + "</w>" for letter in letters)]
    words += [f"<{n}>" for n in range(598 - len(words))] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: place for place, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokens = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    said = {**tokens, "pad_token": "<|endoftext|>", "tokenizer_class": "CLIPTokenizer", "model_max_length": 77}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": SEEN, "crop_size": SEEN}))
    return folder


def write_video(file: Path, frames: NDArray[np.uint8], rate: int = 10) -> Path:
    """An mp4 of RGB frames (n, h, w, 3)."""
    av = pytest.importorskip("av")
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = *frames.shape[1:3], "yuv420p", 4_000_000
        stream.gop_size = 12
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file
