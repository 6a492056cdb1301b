from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from primus_models.checkpoint import RELEASED, Checkpoint, released, save_checkpoint
from primus_models.checkpoint import load as load_checkpoint
from primus_models.errors import CheckpointNotFoundError, EvaluationError
from primus_models.evaluation import plots, results
from primus_models.evaluation.cache import Cache
from primus_models.evaluation.candidates import About, Guessing, Handcrafted, Named, of_checkpoint, open_encoder
from primus_models.evaluation.class_names import ZeroShot, vectors
from primus_models.evaluation.data import Labelled
from primus_models.evaluation.embedding import has_torch
from primus_models.evaluation.entrants import Choice, encoders, opened
from primus_models.evaluation.measure import Contestant, measure
from primus_models.evaluation.paper_probe import PaperProbe
from primus_models.evaluation.probes import DeviceHead, Guess, forest, logistic
from primus_models.evaluation.protocol import Plan, episodes
from primus_models.evaluation.scores import mean
from primus_models.graph import Array
from primus_models.text_space import TextSpace
from primus_sdk.bundles.bundle import released as released_bundle

PLAN = Plan("users", (1, 5), trials=4)


@dataclass(eq=False)
class Counting:
    """Features that show which label it is; counts what it is asked for."""

    asked: int = 0

    @property
    def about(self) -> About:
        return About("counting", "handcrafted", "test", "counting")

    def features(self, windows: Array) -> Array:
        self.asked += 1
        return Handcrafted().features(windows)


@dataclass(frozen=True)
class Failing:
    """A probe that is killed on its n-th fit."""

    at: int
    fits: list[int]
    name: str = "linear head"
    identity: str = "fit_head"
    needs_shots: bool = True

    def recognise(self, *given: object) -> np.ndarray:
        self.fits.append(1)
        if len(self.fits) == self.at:
            raise KeyboardInterrupt
        return DeviceHead().recognise(*given)  # type: ignore[arg-type]


def test_the_yardsticks_beat_guessing_and_confusions_count_all_tests(data: Labelled) -> None:
    pytest.importorskip("sklearn")
    contestants = [
        Contestant(Handcrafted(), (logistic(), forest(), DeviceHead())),
        Contestant(Guessing(), (Guess(),)),
    ]
    found = measure(data, contestants, PLAN)
    assert [entry.name for entry in found.entries] == [
        "handcrafted, logistic regression", "handcrafted, random forest", "handcrafted, linear head", "guessing",
    ]  # fmt: skip
    for entry in found.entries[:3]:
        assert entry.scores["5"].accuracy.value > 0.9
        assert entry.scores["5"].fitted_on == 15
        tested = sum(len(e.tested) for e in episodes(data, PLAN) if e.shots == "5")
        assert entry.scores["5"].confusion.sum() == tested
        assert entry.scores["5"].confusion.trace() > 0.9 * tested
    guessing = found.entries[3].scores
    assert set(guessing) == {"0"}
    assert abs(guessing["0"].accuracy.value - 1 / 3) < 0.2


def test_differences_are_paired(data: Labelled) -> None:
    pair = [Contestant(Handcrafted(), (DeviceHead(),)), Contestant(Guessing(), (Guess(),))]
    found = measure(data, pair, PLAN)
    one, other = found.entries
    assert found.difference(one, other, "5") is None
    hard = np.array([0.1, 0.3, 0.5, 0.7])
    a, b = (
        replace(one, scores={"5": replace(one.scores["5"], units=np.stack([hard + x, hard + x], axis=1))})
        for x in (0.05, 0.0)
    )
    accuracy, _ = found.difference(a, b, "5") or pytest.fail("no difference")
    assert accuracy.value == pytest.approx(0.05)
    assert accuracy.error == pytest.approx(0, abs=1e-12)  # though each one's own is large
    assert a.scores["5"].accuracy.error == pytest.approx(np.std(hard, ddof=1) / 2)
    assert mean([0.4]).error is None


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(data: Labelled, tmp_path: Path) -> None:
    whole = measure(data, [Contestant(Counting(), (DeviceHead(),))], PLAN)
    fits: list[int] = []
    first = Counting()
    with pytest.raises(KeyboardInterrupt):
        measure(data, [Contestant(first, (Failing(6, fits),))], PLAN, Cache(tmp_path, data.sha256()))
    second, more = Counting(), []  # type: ignore[var-annotated]
    gone_on = measure(data, [Contestant(second, (Failing(0, more),))], PLAN, Cache(tmp_path, data.sha256()))
    assert (first.asked, second.asked) == (1, 0)
    assert len(more) == len([e for e in episodes(data, PLAN) if e.shots != "0"]) - 5
    assert gone_on.to_json() == whole.to_json()
    for file in tmp_path.rglob("*.*"):
        file.write_bytes(b"torn")
    third = Counting()
    mended = measure(data, [Contestant(third, (DeviceHead(),))], PLAN, Cache(tmp_path, data.sha256()))
    assert third.asked == 1
    assert mended.to_json() == whole.to_json()
    other = data.only(["1", "2", "3"])
    measure(other, [Contestant(third, (DeviceHead(),))], PLAN, Cache(tmp_path, other.sha256()))
    assert third.asked == 2  # other data are other features


def test_the_bundle_through_the_sdk_agrees_with_the_checkpoint(data: Labelled) -> None:
    numpy = open_encoder(Named(released(), "checkpoint"), "numpy")
    bundle = open_encoder(Named(released_bundle(), "bundle"))
    assert numpy.about.encoder_sha256 == bundle.about.encoder_sha256
    assert "int8" in bundle.about.how
    windows = next(data.blocks())[::6]
    a, b = numpy.features(windows), bundle.features(windows)
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines.min() > 0.9995
    if has_torch("primus"):
        torch = open_encoder(Named(released(), "torch"))
        assert "PyTorch" in torch.about.how
        assert np.abs(torch.features(windows) - a).max() < 1e-4 * np.abs(a).max()


def test_zero_shot_takes_the_nearest_class_name(data: Labelled, tensors: dict[str, Array], tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    texts = {f"a person {label}": generator.normal(size=64).astype(np.float32) for label in data.labels}
    save_file(texts, tmp_path / "t.safetensors", {"tower": "tower-1"})
    space = TextSpace("tower-1", 64, 0.1, "a person {label}")
    made = vectors(tmp_path / "t.safetensors", space, data.labels)
    assert np.allclose(np.linalg.norm(made, axis=1), 1)
    probe = ZeroShot(made)
    episode = episodes(data, PLAN)[0]
    shown = 7 * made[[2, 0, 1]] + 0.01
    assert probe.recognise(episode, shown[:0], np.zeros(0, np.int64), shown).tolist() == [2, 0, 1]
    for other, words in ((replace(space, tower="x"), "aligned with x"), (replace(space, size=63), "63 numbers")):
        with pytest.raises(EvaluationError, match=words):
            vectors(tmp_path / "t.safetensors", other, data.labels)
    with pytest.raises(EvaluationError, match="no embedding of 'a person flying'"):
        vectors(tmp_path / "t.safetensors", space, ["flying"])
    aligned = Checkpoint("primus", tensors, text=space)
    save_checkpoint(aligned, tmp_path / "c.safetensors")
    choice = Choice(texts=tmp_path / "t.safetensors", backend="numpy")
    (contestant,) = encoders(opened([Named(tmp_path / "c.safetensors", "c")], choice), choice, data.labels)
    assert [p.name for p in contestant.probes] == ["zero-shot", "linear head"]
    found = measure(data, [contestant], PLAN)
    assert set(found.entries[0].scores) == {"0"}
    only = replace(found, entries=found.entries[:1])
    plots.confusions([only], tmp_path / "zero.png", "0")
    assert (tmp_path / "zero.png").stat().st_size > 1000
    with pytest.raises(EvaluationError, match="say --shots 0"):
        plots.confusions([only], tmp_path / "most.png")
    save_checkpoint(replace(aligned, text=None), tmp_path / "r.safetensors")
    with pytest.raises(EvaluationError, match="aligned with text"):
        encoders(opened([Named(tmp_path / "r.safetensors", "r")], choice), choice, data.labels)


def test_the_papers_probe_starts_as_zero_shot_and_learns(data: Labelled) -> None:
    pytest.importorskip("torch")
    episode = next(e for e in episodes(data, PLAN) if e.shots == "5")
    start = np.eye(3, 512, dtype=np.float32) * 10
    x = np.eye(3, 512, dtype=np.float32)[data.label]
    fitted, tested = x[episode.fitted], x[episode.tested]
    probe = PaperProbe(3, start)
    recognised = probe.recognise(episode, fitted, data.label[episode.fitted], tested)
    assert np.array_equal(recognised, data.label[episode.tested])
    from_zeros = PaperProbe(3)
    assert np.array_equal(
        from_zeros.recognise(episode, fitted, data.label[episode.fitted], tested), data.label[episode.tested]
    )
    assert probe.identity != from_zeros.identity


def test_results_are_read_as_they_were_written(data: Labelled, tmp_path: Path) -> None:
    found = measure(data, [Contestant(Handcrafted(), (DeviceHead(),)), Contestant(Guessing(), (Guess(),))], PLAN)
    results.save(found, tmp_path / "r.json")
    again = results.load(tmp_path / "r.json")
    assert again.to_json() == found.to_json()
    record = json.loads((tmp_path / "r.json").read_text())
    for change, words in (
        ({"format": "x"}, "no results"), ({"schema_version": 2}, "upgrade"), ({"candidates": [{}]}, "damaged"),
    ):  # fmt: skip
        (tmp_path / "x.json").write_text(json.dumps(record | change))
        with pytest.raises(EvaluationError, match=words):
            results.load(tmp_path / "x.json")
    with pytest.raises(EvaluationError, match="no results at"):
        results.load(tmp_path / "none.json")


def test_people_that_an_encoder_learnt_from_are_warned_of(data: Labelled, tensors: dict[str, Array]) -> None:
    def warned(source: str) -> str:
        provenance = {"data": f"{source}, CC BY", "users_trained_on": ["1", "2", "77"]}
        candidate = of_checkpoint(Checkpoint("primus", tensors, provenance=provenance), "c", backend="numpy")
        return measure(data, [Contestant(candidate, (DeviceHead(),))], Plan("users", (1,), trials=1)).entries[0].warning

    assert "2 of the 6 people" in warned("Made")
    assert warned("Elsewhere") == ""
    assert load_checkpoint(released()).provenance["users_trained_on"]


def test_names_paths_and_shares(tmp_path: Path) -> None:
    assert Named.parse("PRIMUS@10%=a.safetensors") == Named(Path("a.safetensors"), "PRIMUS", 0.1)
    assert Named.parse("x=b") == Named(Path("b"), "x")
    assert Named.parse("some/run.safetensors").name == "run"
    assert Named.parse("runs/ss-mm/checkpoint.safetensors").name == "ss-mm"
    (tmp_path / "a=b").mkdir()
    assert Named.parse(str(tmp_path / "a=b")).path == tmp_path / "a=b"
    with pytest.raises(EvaluationError, match="'most' is no share"):
        Named.parse("PRIMUS@most=a")
    twice = [Contestant(Counting(), (DeviceHead(),))] * 2
    with pytest.raises(EvaluationError, match="two candidates are called 'counting'"):
        measure(_two(), twice, PLAN)


def test_a_label_says_the_share_of_aligned_windows_where_it_is_not_all(data: Labelled) -> None:
    whole, tenth = (replace(Counting().about, aligned=share) for share in (1.0, 0.1))
    pair = [Contestant(Shared(about), (Guess(),)) for about in (whole, tenth)]
    assert [entry.label for entry in measure(data, pair, PLAN).entries] == ["counting", "counting, 10 % aligned"]
    alike = [*pair, Contestant(Counting(), (Guess(),))]  # of no share: its label would be that of the whole one
    with pytest.raises(EvaluationError, match="two candidates are called 'counting'"):
        measure(data, alike, PLAN)


@dataclass(frozen=True)
class Shared:
    about: About

    def features(self, windows: Array) -> Array:
        return Guessing().features(windows)


def _two() -> Labelled:
    return Labelled(
        "two", np.zeros((4, 6, 250), np.float32), np.arange(4), np.array([0, 1, 0, 1]), np.array(list("aabb")),
        np.full(4, ""), ("x", "y"), {},
    )  # fmt: skip


def test_released_checkpoints_go_by_their_names() -> None:
    for name in RELEASED:
        found = open_encoder(Named.parse(name), "numpy")
        assert found.about.name == name
        assert found.about.encoder_sha256 == load_checkpoint(name).sha256
    with pytest.raises(CheckpointNotFoundError, match=r"primus and tempo|tempo and primus"):
        open_encoder(Named.parse("largo"))
