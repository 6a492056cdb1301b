"""CLIP of transformers as text and as video tower; CLIP4Clip's weights have the same layout.

The paper's towers are CLIP4Clip's, and its video embedding is the mean over a window's frames (arXiv 2104.08860,
"mean pooling"): each frame's embedding is brought to length 1, and so is their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_models.errors import TowerError
from primus_models.graph import Array
from primus_models.towers.base import Opened, unit
from primus_models.towers.loading import folder_of, identity_of, library, one_thread, quiet, read_json, short

_TEXTS, _WINDOWS = 64, 4
"""Texts and windows that go through the model at once."""
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of a channel, 0 to 1: what CLIP was trained with, where preprocessor_config.json says nothing else."""


class _Clip:
    """What both towers share: the model, where it is, and how frames are brought to it."""

    def __init__(self, model: str, device: str) -> None:
        folder = folder_of(model, "config.json", "CLIP")
        transformers, self.torch = library("transformers", "a CLIP tower"), library("torch", "a CLIP tower")
        config = read_json(folder / "config.json")
        kind = config.get("model_type") if isinstance(config, dict) else None
        if kind != "clip":
            raise TowerError(f"{model} is a model of type {kind!r}; expected 'clip': towers of that kind are CLIP's")
        try:
            with quiet():
                self.net, found = transformers.CLIPModel.from_pretrained(
                    str(folder),
                    local_files_only=True,
                    trust_remote_code=False,
                    use_safetensors=any(folder.glob("*.safetensors")),
                    output_loading_info=True,
                )
                self.tokenizer = transformers.AutoTokenizer.from_pretrained(
                    str(folder), local_files_only=True, trust_remote_code=False
                )
            self.net = self.net.to(device).eval().float()
        except Exception as error:  # whatever the library raises on a folder that holds something else
            raise TowerError(f"{model} cannot be loaded as a CLIP model ({short(error)})") from error
        missing = sorted(name for name in found["missing_keys"] if not name.endswith("position_ids"))
        if missing:  # the library would fill them with noise and say so in a warning
            raise TowerError(
                f"{model} lacks {len(missing)} of CLIP's tensors, such as {missing[0]}: take a copy with both towers"
            )
        self.device, self.eyes = device, _eyes(folder, self.net.config.vision_config.image_size)
        self.name = Path(model).expanduser().resolve().name
        self.size = int(self.net.config.projection_dim)
        self.longest = int(self.net.config.text_config.max_position_embeddings)
        settings = {"mean": self.eyes.mean, "std": self.eyes.std, "side": self.eyes.side, "crop": self.eyes.crop}
        self.identity = identity_of(self.net, {**settings, "longest": self.longest})


@dataclass(frozen=True)
class _Eyes:
    """A frame's way into the model: shorter side and square cut out of its middle (pixels), and its channels' norm."""

    side: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class ClipText:
    """CLIP's text tower; what is longer than its 77 tokens is cut."""

    def __init__(self, clip: _Clip) -> None:
        self._clip = clip
        self.name, self.size, self.identity = clip.name, clip.size, clip.identity

    def embed(self, texts: Sequence[str]) -> Array:
        """See `TextTower.embed`."""
        made = [np.zeros((0, self.size), np.float32)]
        for start in range(0, len(texts), _TEXTS):
            tokens = self._clip.tokenizer(
                list(texts[start : start + _TEXTS]),
                padding=True,
                truncation=True,
                max_length=self._clip.longest,
                return_tensors="pt",
            )
            tokens = {name: tokens[name].to(self._clip.device) for name in ("input_ids", "attention_mask")}
            with one_thread():
                made.append(unit(_numbers(self._clip.net.get_text_features(**tokens))))
        return np.concatenate(made)


class ClipVideo:
    """CLIP's image tower, frame by frame, and the mean of a window's frames."""

    def __init__(self, clip: _Clip) -> None:
        self._clip = clip
        self.name, self.size, self.identity, self.side = clip.name, clip.size, clip.identity, clip.eyes.side

    def embed(self, frames: NDArray[np.uint8]) -> Array:
        """See `VideoTower.embed`.

        Raises:
            TowerError: the frames are no uint8 `(n, f, h, w, 3)` with one frame or more.
        """
        if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[4] != 3 or 0 in frames.shape[1:]:
            raise TowerError(f"frames are {frames.dtype} {frames.shape}; expected uint8 (n, f, h, w, 3), RGB")
        made = [np.zeros((0, self.size), np.float32)]
        for start in range(0, len(frames), _WINDOWS):
            some = frames[start : start + _WINDOWS]
            with one_thread():
                pixels = self._pixels(some.reshape(-1, *some.shape[2:]))
                each = unit(_numbers(self._clip.net.get_image_features(pixel_values=pixels)))
            made.append(unit(each.reshape(*some.shape[:2], self.size).astype(np.float64).mean(axis=1)))
        return np.concatenate(made)

    def _pixels(self, frames: NDArray[np.uint8]) -> Any:
        torch, eyes = self._clip.torch, self._clip.eyes
        images = torch.from_numpy(np.ascontiguousarray(frames)).to(self._clip.device).permute(0, 3, 1, 2).float()
        height, width = images.shape[2:]
        if min(height, width) != eyes.side:
            scaled = (
                (eyes.side, max(eyes.side, int(eyes.side * width / height)))
                if height <= width
                else (max(eyes.side, int(eyes.side * height / width)), eyes.side)
            )
            images = torch.nn.functional.interpolate(images, scaled, mode="bicubic", antialias=True)
            images = images.round().clamp(0, 255)
        top, left = (images.shape[2] - eyes.crop) // 2, (images.shape[3] - eyes.crop) // 2
        images = images[:, :, top : top + eyes.crop, left : left + eyes.crop] / 255
        mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (eyes.mean, eyes.std))
        return (images - mean) / std


def open_clip(model: str, device: str = "cpu") -> Opened:
    """Both towers of a CLIP model of transformers, from a folder, with no network, or by its id on the hub.

    Raises:
        TowerError: transformers is not installed, there is no such model, or it lacks tensors.
    """
    clip = _Clip(model, device)
    return Opened(ClipText(clip), ClipVideo(clip))


def _eyes(folder: Path, image_size: int) -> _Eyes:
    file = folder / "preprocessor_config.json"
    said = read_json(file) if file.is_file() else {}
    try:
        side, crop = said.get("size", image_size), said.get("crop_size", image_size)
        side = side if isinstance(side, int) else side.get("shortest_edge") or side["height"]
        crop = crop if isinstance(crop, int) else crop["height"]
        mean, std = (tuple(map(float, said.get(k, v))) for k, v in (("image_mean", _MEAN), ("image_std", _STD)))
        if crop != image_size or side < crop or len(mean) != 3 or len(std) != 3 or not min(std) > 0:
            raise ValueError(f"it says size {side} and crop {crop}; the model sees {image_size} pixels")
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise TowerError(f"{file} does not fit CLIP ({short(error)}); take the model's own") from error
    return _Eyes(int(side), int(crop), mean, std)


def _numbers(features: Any) -> Array:
    """The embeddings `(n, d)`: a tensor in transformers 4, an output that holds one from 5 on."""
    tensor = getattr(features, "pooler_output", features)
    result: Array = tensor.float().cpu().numpy()
    return result
