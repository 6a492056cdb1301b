"""Golden vectors of heads: fits and a head made by hand, what they say, and files with one thing wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden
import golden_inputs
import numpy as np
from golden import floats, table, write_floats, write_table

from primus_sdk.calibration.fit import fit_head
from primus_sdk.heads.head import Head
from primus_sdk.recogniser import Recogniser
from primus_sdk.tensor_file import TensorFile

SHOTS = 10
FITS = [
    ("fitted", 0, 40, 0.003, "none"),
    ("loose", 0, 40, 1.0, "none"),
    ("prior", 40, 60, 0.02, "fitted"),
    ("default_c", 5, 15, "none", "none"),
    ("default_c_from_handmade", 34, 42, "none", "handmade"),
]
HANDMADE = "handmade"
# In the order of their code points, which is not that of UTF-16's units.
LABELS = ("walk", '\uff5e "\\', "\U0001f600")
COUNT = len(FITS) + 1


def windows_of(kind: str, seed: int) -> np.ndarray:
    random = np.random.default_rng([9, seed])
    noise = random.normal(0, 1, (250, 6)) * ([0.05] * 3 + [0.01] * 3) * (0.2 if kind == "still" else 1)
    return (golden_inputs.motion(kind, np.arange(250) / 50, seed) + noise).T.astype(np.float32)


def write(folder: Path, recogniser: Recogniser) -> None:
    """Make the embeddings and the head by hand, fit the others, and write what they say."""
    kinds = [kind for kind in ("walk", "nod", "turn", "still") for _ in range(SHOTS)] + ["walk"] * 8 + ["run"] * 12
    write_floats(folder / "embeddings.f32", [recogniser.embed(windows_of(kind, n)) for n, kind in enumerate(kinds)])
    (folder / "labels.txt").write_text("".join(f"{kind}\n" for kind in kinds), "utf-8", newline="\n")
    write_fits(folder, recogniser.manifest.encoder_sha256)


def write_fits(folder: Path, encoder: str) -> None:
    """Fit the heads on the embeddings that are there, and write what they say."""
    write_table(folder / "fits.csv", ["name", "first", "last", "c", "prior"], FITS)
    handmade(encoder).save(folder / f"{HANDMADE}.safetensors")
    for name, head in {HANDMADE: handmade(encoder), **fitted(folder, encoder)}.items():
        head.save(folder / f"{name}.safetensors")
        said = head.probabilities(floats(folder / "embeddings.f32", 512))
        write_table(folder / f"{name}.csv", head.labels, said.tolist())


def check(folder: Path) -> list[str]:
    """What a head says otherwise than it is written, in words."""
    wrong = [f"fit {name}: off by {off}" for name, off in fits(folder).items() if off > 1e-4]
    encoder = Head.load(folder / "fitted.safetensors").encoder_sha256
    for name, head in fitted(folder, encoder).items():
        kept = Head.load(folder / f"{name}.safetensors")
        if (head.labels, head.counts, head.temperature) != (kept.labels, kept.counts, kept.temperature):
            wrong.append(f"fit {name}: {head.labels}, {head.counts}")
        if name not in from_priors(folder) and (off := max(sums(head), sums(kept))) > 1e-3:
            wrong.append(f"fit {name}: the labels' weights and biases sum to {off}")
    return wrong


def from_priors(folder: Path) -> list[str]:
    return [row["name"] for row in table(folder / "fits.csv") if row["prior"] != "none"]


def sums(head: Head) -> float:
    """The largest sum over the labels of a weight or the bias, as a share of the largest weight or bias."""
    parts = [part.astype(np.float64) for part in (head.weight, head.bias)]
    return max(float(np.abs(part.sum(axis=0)).max() / np.abs(part).max()) for part in parts)


def handmade(encoder: str) -> Head:
    """A head that no fit would give: rows that do not sum to 0, a temperature and a mount."""
    row, column = np.indices((len(LABELS), 512))
    weight = ((7 * row + 3 * column + row * column) % 11 - 3) / 64
    mount = np.reshape(golden_inputs.TILT, (3, 3))
    bias = np.array([1.25, -0.25, 2.0])
    counts = {"walk": 3, LABELS[2]: 2}
    kept = [part.astype(np.float32) for part in (weight, bias)]
    return Head(LABELS, *kept, encoder, 2.5, counts, "2024-02-29", mount)


def fitted(folder: Path, encoder: str) -> dict[str, Head]:
    """Each of fits.csv, on the rows that it names."""
    embeddings = floats(folder / "embeddings.f32", 512)
    labels, heads = (folder / "labels.txt").read_text("utf-8").split(), dict[str, Head]()
    for row in table(folder / "fits.csv"):
        part = slice(int(row["first"]), int(row["last"]))
        prior = None
        if row["prior"] != "none":
            prior = heads.get(row["prior"]) or Head.load(folder / f"{row['prior']}.safetensors")
        heads[row["name"]] = fit_head(
            embeddings[part], labels[part], encoder, c=golden.number(row["c"]), prior=prior, created="2025-01-01"
        )
    return heads


def fits(folder: Path) -> dict[str, float]:
    """How far the probabilities of our fit, and of the head that is kept, lie from those written, at most."""
    embeddings, off = floats(folder / "embeddings.f32", 512), {}
    encoder = Head.load(folder / "fitted.safetensors").encoder_sha256
    for name, head in {HANDMADE: handmade(encoder), **fitted(folder, encoder)}.items():
        written = [[float(row[label]) for label in head.labels] for row in table(folder / f"{name}.csv")]
        kept = Head.load(folder / f"{name}.safetensors")
        off[name] = max(float(np.abs(one.probabilities(embeddings) - written).max()) for one in (head, kept))
    return off


# -- Files with one thing wrong, whose hash is right


def _metadata(**changes: str | None) -> Callable[[str], bytes]:
    return lambda encoder: _packed(encoder, metadata=changes)


def _tensors(**changes: Any) -> Callable[[str], bytes]:
    return lambda encoder: _packed(encoder, tensors=changes)


def _with_tab(encoder: str) -> bytes:
    content = _packed(encoder)
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size].rstrip(b" ") + b"\t"
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def _laid_out(content: bytes, gap: int = 0) -> bytes:
    """The same head with its metadata's keys and its tensors the other way round, and so many bytes between these."""
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), b""
    turned = {"__metadata__": dict(reversed(header.pop("__metadata__").items()))}
    for name, entry in reversed(header.items()):
        first, last = entry["data_offsets"]
        data += bytes(gap if data else 0) + content[8 + size + first : 8 + size + last]
        turned[name] = entry | {"data_offsets": [len(data) - (last - first), len(data)]}
    text = json.dumps(turned).encode()
    return len(text).to_bytes(8, "little") + text + data


def _packed(
    encoder: str, metadata: dict[str, str | None] | None = None, tensors: dict[str, Any] | None = None
) -> bytes:
    """A head of two labels with these changes, of which None leaves out."""
    arrays = {"weight": np.zeros((2, 512), np.float32), "bias": np.float32([0.5, -0.5])} | (tensors or {})
    texts = {
        "labels": '["nod", "walk"]',
        "temperature": "1.0",
        "encoder_sha256": encoder,
        "counts": '{"nod": 1, "walk": 2}',
        "created": "2025-01-01",
        "schema_version": "1",
    } | (metadata or {})
    file = TensorFile(
        kind="head",
        format="primus-head",
        version=int(texts.pop("schema_version") or 0),
        types={name: np.asarray(array).dtype.newbyteorder("<").str for name, array in arrays.items()},
        optional=frozenset(),
        largest=1 << 20,
        error=ValueError,  # type: ignore[arg-type]
    )
    return file.pack(arrays, {key: text for key, text in texts.items() if text is not None})


def _nan() -> np.ndarray:
    weight = np.zeros((2, 512), np.float32)
    weight[1, 300] = np.nan
    return weight


SMALL: dict[str, Callable[[str], bytes]] = {
    # Accepted.
    "head_spelled_otherwise": lambda encoder: _laid_out(
        _packed(encoder, {"labels": json.dumps(LABELS[1:]), "counts": "{\n\t" + json.dumps(LABELS[2]) + ":\r7}"})
    ),
    # Refused.
    "head_tab_in_header": _with_tab,
    "head_bytes_left_over": lambda encoder: _packed(encoder) + bytes(4),
    "head_bytes_between_tensors": lambda encoder: _laid_out(_packed(encoder), 4),
    "head_schema_2": _metadata(schema_version="2"),
    "head_extra_tensor": _tensors(scale=np.float32([1.0])),
    "head_nan_in_weight": _tensors(weight=_nan()),
    "head_one_label": lambda encoder: _packed(
        encoder,
        {"labels": '["nod"]', "counts": '{"nod": 1}'},
        {"weight": np.zeros((1, 512), np.float32), "bias": np.float32([0.5])},
    ),
    "head_equal_labels": _metadata(labels='["nod", "nod"]', counts="{}"),
    "head_empty_label": _metadata(labels='["", "nod"]', counts="{}"),
    "head_temperature_0": _metadata(temperature="0.0"),
    "head_negative_count": _metadata(counts='{"nod": -1, "walk": 2}'),
    "head_count_of_unknown": _metadata(counts='{"nod": 1, "run": 2}'),
    "head_date_impossible": _metadata(created="2025-02-29"),
    "head_mirrored": _tensors(mount=np.diag([1.0, 1.0, -1.0])),
}
