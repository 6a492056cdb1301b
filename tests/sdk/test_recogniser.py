"""What a recogniser takes, gives and refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import primus_sdk
from primus_sdk import (
    BundleError,
    CalibrationError,
    ClosedError,
    Head,
    HeadError,
    PrimusError,
    Recogniser,
    RuntimeMismatchError,
    StreamError,
    WindowError,
)


@pytest.fixture(scope="module")
def recogniser(folder: Path) -> Recogniser:
    return primus_sdk.load(folder)


def made_head(encoder: str, labels: tuple[str, ...] = ("a", "b")) -> Head:
    weight = np.random.default_rng(0).normal(size=(len(labels), 512))
    return Head(labels, weight, np.zeros(len(labels)), encoder)


def test_one_window_gives_one_embedding_and_several_as_many(recogniser: Recogniser, made: SimpleNamespace) -> None:
    windows = made.windows(150)
    expected = made.reference(windows)
    for given in (windows, windows.astype(np.float64), windows.tolist()):
        embeddings = recogniser.embed(given)
        assert embeddings.shape == (150, 512)
        assert embeddings.dtype == np.float32
        assert np.abs(embeddings - expected).max() < 1e-5
    assert recogniser.embed(windows[0]).shape == (512,)
    assert recogniser.embed(windows[:1]).shape == (1, 512)
    assert recogniser.embed(windows[:0]).shape == (0, 512)


def test_a_window_alone_gives_the_same_bits_each_time_and_1e_4_in_a_batch(
    recogniser: Recogniser, made: SimpleNamespace
) -> None:
    windows = made.windows(70)
    alone = np.stack([recogniser.embed(window) for window in windows])
    assert np.array_equal(alone, np.stack([recogniser.embed(window[np.newaxis])[0] for window in windows]))
    assert np.abs(recogniser.embed(windows) - alone).max() < 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.T, r"\(6, 250\).*got \(250, 6\).*transposed"),
        (lambda w: np.stack([w.T] * 3), r"got \(3, 250, 6\).*transposed"),
        (lambda w: w[:, :249], r"got \(6, 249\)"),
        (lambda w: w[:3], r"got \(3, 250\)"),
        (lambda w: w[np.newaxis, np.newaxis], r"got \(1, 1, 6, 250\)"),
        (lambda w: w[0], "got"),
        (lambda w: 9.81, "got"),
        (lambda w: np.zeros((0, 5, 250)), "got"),
        (lambda w: w.astype(str), "numbers"),
        (lambda w: w.astype(complex), "numbers"),
        (lambda w: w.astype(object), "numbers"),
        (lambda w: w > 0, "numbers"),
        (lambda w: None, "numbers"),
        (lambda w: [[1.0, 2.0], [3.0]], "cannot be made one"),
        (lambda w: np.where(np.arange(250) == 249, np.nan, w), "the window holds NaN or infinity"),
        (lambda w: np.stack([w, np.where(np.arange(250) == 0, np.inf, w)]), "window 1 holds NaN"),
        (lambda w: np.where(np.arange(250) == 9, 1e300, w.astype(float)), "NaN or infinity"),
        (lambda w: np.concatenate([w[:3] / 9.81, w[3:]]), "looks like g, or gravity is missing"),
        (lambda w: np.concatenate([0 * w[:3], w[3:]]), "gravity is missing"),
        (lambda w: np.concatenate([w[:3] * 1000 / 9.81, w[3:]]), "milli-g"),
        (lambda w: np.concatenate([w[:3] * 9.80665, w[3:]]), r"m/s\^2 declared as g"),
        (lambda w: np.concatenate([w[:3], w[3:] * 0 + 40]), "looks like deg/s"),
        (lambda w: np.stack([w, w, np.concatenate([w[:3], w[3:] * 0 + 40])]), "window 2 has a median rotation"),
    ],
)
def test_a_wrong_window_is_refused_in_words(
    change: Any, message: str, recogniser: Recogniser, made: SimpleNamespace
) -> None:
    with pytest.raises(WindowError, match=message) as raised:
        recogniser.embed(change(made.windows(1)[0]))
    assert isinstance(raised.value, ValueError)


def test_a_short_violent_turn_or_a_fall_is_no_unit_error(recogniser: Recogniser, made: SimpleNamespace) -> None:
    window = made.windows(1)[0]
    window[3:, :100] = 60
    window[:3, 120:170] = 0
    assert np.isfinite(recogniser.embed(window)).all()


def test_predict_names_the_likeliest_label(folder: Path, made: SimpleNamespace) -> None:
    with primus_sdk.load(folder) as recogniser:
        window = made.windows(1)[0]
        with pytest.raises(HeadError, match="there is no head"):
            recogniser.predict(window)
        recogniser.head = made_head(made.encoder)
        prediction = recogniser.predict(window)
        assert prediction.label == max(prediction.probabilities, key=lambda label: prediction.probabilities[label])
        assert prediction.probability == prediction.probabilities[prediction.label]
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert np.array_equal(prediction.embedding, recogniser.embed(window))
        with pytest.raises(WindowError, match="one window"):
            recogniser.predict(window[np.newaxis])


def test_a_head_of_another_encoder_is_refused(folder: Path, made: SimpleNamespace) -> None:
    with primus_sdk.load(folder) as recogniser:
        ours = made_head(made.encoder)
        recogniser.head = ours
        with pytest.raises(HeadError, match=r"cdcdcdcdcdcd.*abababababab"):
            recogniser.head = made_head("cd" * 32)
        assert recogniser.head is ours


def test_calibrate_fits_takes_into_use_and_keeps_the_old_head_on_failure(folder: Path, made: SimpleNamespace) -> None:
    windows = made.windows(40)
    labels = ["still", "moving"] * 20
    windows[::2] = made.windows(1)[0] + np.random.default_rng(0).normal(0, 0.05, (20, 6, 250))
    with primus_sdk.load(folder) as recogniser:
        head = recogniser.calibrate(windows, labels, created="2026-01-31")
        assert recogniser.head is head
        assert head.encoder_sha256 == made.encoder
        assert head.counts == {"still": 20, "moving": 20}
        right = [recogniser.predict(window).label == label for window, label in zip(windows, labels, strict=True)]
        assert sum(right) >= 36
        for wrong in ((windows, labels[:-1]), (windows, ["one"] * 40), (windows[0], ["one"])):
            with pytest.raises(CalibrationError):
                recogniser.calibrate(*wrong)
        with pytest.raises(WindowError):
            recogniser.calibrate(windows / 9.81, labels)
        assert recogniser.head is head


def test_calibrate_keeps_the_mount_of_the_head_in_use_and_the_labels_of_a_prior(
    folder: Path, made: SimpleNamespace
) -> None:
    windows, labels = made.windows(8), ["x", "y"] * 4
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    with primus_sdk.load(folder) as recogniser:
        assert recogniser.calibrate(windows, labels).mount is None
        prior = recogniser.calibrate(windows, labels, mount=quarter)
        assert np.array_equal(prior.mount, quarter)
        head = recogniser.calibrate(windows, ["y", "z"] * 4, prior=prior)
        assert np.array_equal(head.mount, quarter)
        assert set(head.labels) == {"x", "y", "z"}
        with pytest.raises(HeadError):
            recogniser.calibrate(windows, labels, mount=2 * quarter)
        with pytest.raises(HeadError):
            recogniser.calibrate(windows, labels, prior=made_head("cd" * 32))
        assert recogniser.head is head


def test_a_bundle_brings_its_head_and_it_must_fit(made: SimpleNamespace, tmp_path: Path) -> None:
    head = made_head(made.encoder)
    window = made.windows(1, seed=7)
    known = {"imu": window[0], "embedding": made.reference(window)[0]}
    right = known | {"probabilities": head.probabilities(known["embedding"]).astype(np.float32)}
    wrong = known | {"probabilities": right["probabilities"][::-1].copy()}

    def bundle(name: str, head: Head, answer: dict[str, np.ndarray]) -> Path:
        contents = {
            "encoder.onnx": made.onnx_model(),
            "head.safetensors": head.to_bytes(),
            "known_answer.safetensors": save(answer),
        }
        files = made.files([made.model_entry()], contents, head="head.safetensors")
        return made.folder(tmp_path / name, files)  # type: ignore[no-any-return]

    with primus_sdk.load(bundle("right", head, right)) as recogniser:
        prediction = recogniser.predict(window[0])
        assert list(prediction.probabilities.values()) == pytest.approx(list(right["probabilities"]), abs=1e-5)
    with pytest.raises(BundleError, match="known answer's probabilities"):
        primus_sdk.load(bundle("wrong", head, wrong))
    with pytest.raises(HeadError, match="fitted on encoder"):
        primus_sdk.load(bundle("foreign", made_head("cd" * 32), known))


@pytest.mark.parametrize(
    ("change", "cosine"),
    [
        (lambda e: e * 1.03, 0.9),
        (lambda e: e * 0.97, 0.9),
        (lambda e: e + 0.1 * np.random.default_rng(0).normal(size=512).astype(np.float32), 0.9999),
        (lambda e: -e, 0.1),
    ],
)
def test_a_runtime_that_computes_something_else_is_refused(
    change: Any, cosine: float, made: SimpleNamespace, tmp_path: Path
) -> None:
    window = made.windows(1, seed=7)
    answer = {"imu": window[0], "embedding": change(made.reference(window)[0])}
    contents = {"encoder.onnx": made.onnx_model(), "known_answer.safetensors": save(answer)}
    files = made.files([made.model_entry(known_answer_cosine=cosine)], contents)
    with pytest.raises(RuntimeMismatchError, match=r"onnxruntime 1\.\d+.*cannot be trusted.*Install another version"):
        primus_sdk.load(made.folder(tmp_path, files))


@pytest.mark.parametrize(
    "answer",
    [
        {"imu": np.zeros((6, 250), np.float32), "embedding": np.ones(512, np.float32)},
        {"imu": np.ones((6, 250), np.float32), "embedding": np.full(512, np.nan, np.float32)},
        {"imu": np.ones((6, 250), np.float32), "embedding": np.ones(511, np.float32)},
        {"imu": np.ones((6, 250)), "embedding": np.ones(512)},
        {"embedding": np.ones(512, np.float32)},
    ],
)
def test_a_known_answer_that_is_none_is_a_bundle_error(
    answer: dict[str, np.ndarray], made: SimpleNamespace, tmp_path: Path
) -> None:
    contents = {"encoder.onnx": made.onnx_model(), "known_answer.safetensors": save(answer)}
    with pytest.raises(BundleError, match=r"known_answer\.safetensors"):
        primus_sdk.load(made.folder(tmp_path, made.files([made.model_entry()], contents)))


def test_after_close_every_call_is_a_closed_error(folder: Path, made: SimpleNamespace) -> None:
    window = made.windows(1)[0]
    with primus_sdk.load(folder) as recogniser:
        recogniser.head = made_head(made.encoder)
        stream = recogniser.stream()
    recogniser.close()
    times = np.arange(500) * 20_000_000
    for call in (
        lambda: recogniser.embed(window),
        lambda: recogniser.predict(window),
        lambda: recogniser.calibrate(np.stack([window, window]), ["a", "b"]),
        lambda: recogniser.stream(),
        lambda: stream.push(times, np.tile(window.T, (2, 1))),
    ):
        with pytest.raises(ClosedError) as raised:
            call()
        assert isinstance(raised.value, PrimusError)
    assert "closed" in repr(recogniser)


def test_closing_during_calls_of_many_threads_gives_results_or_closed_errors(
    folder: Path, made: SimpleNamespace
) -> None:
    windows = made.windows(4)
    expected = made.reference(windows)
    for _ in range(5):
        made.close_under_calls(primus_sdk.load(folder), windows, expected)


def test_a_stream_recognises_what_its_windows_hold(folder: Path, made: SimpleNamespace) -> None:
    window = made.windows(1)[0]
    times, rows = np.arange(500) * 20_000_000, np.tile(window.T, (2, 1))
    with primus_sdk.load(folder) as recogniser:
        stream = recogniser.stream(hop=1.0)
        recognitions = stream.push(times, rows)
        assert recognitions
        for recognition in recognitions:
            assert recognition.prediction is None
            assert np.array_equal(recognition.embedding, recogniser.embed(recognition.window))
        recogniser.head = made_head(made.encoder)
        other = recogniser.stream(hop=1.0)
        whole = other.push(times, rows) + other.flush()
        single = recogniser.stream(hop=1.0)
        cut = [r for time, row in zip(times, rows, strict=True) for r in single.push(time, row)] + single.flush()
        assert single.dropped == primus_sdk.Dropped()
        assert [r.prediction.label for r in whole if r.prediction] == [r.prediction.label for r in cut if r.prediction]
        assert len(whole) == len(cut) == 6
        for a, b in zip(whole, cut, strict=True):
            assert np.array_equal(a.embedding, b.embedding)
        in_g = recogniser.stream(hop=5.0, sensors=primus_sdk.Sensors("g", "deg/s"))
        scaled = rows * ([1 / 9.80665] * 3 + [180 / np.pi] * 3)
        assert np.abs((in_g.push(times, scaled) + in_g.flush())[0].embedding - whole[0].embedding).max() < 1e-4
        with pytest.raises(WindowError, match="looks like g"):
            recogniser.stream().push(times, scaled)
        with pytest.raises(StreamError):
            recogniser.stream(hop=0)
        calibrated = recogniser.calibrate([r.window for r in whole], ["a", "b"] * 3)
        assert calibrated.labels == ("a", "b")


def test_a_bad_window_takes_no_other_with_it(folder: Path, made: SimpleNamespace) -> None:
    good = made.windows(1)[0].T
    rows = np.concatenate([good, good / 100, good, good])
    times = np.arange(len(rows)) * 20_000_000
    with primus_sdk.load(folder) as recogniser:
        stream = recogniser.stream(hop=5.0)
        with pytest.raises(WindowError):
            stream.push(times, rows)
        starts = [recognition.window.start_ns for recognition in stream.flush()]
    assert starts == [0, 10_000_000_000, 15_000_000_000]


def test_the_door_holds_every_error_the_sdk_raises() -> None:
    from primus_sdk import errors

    for name, value in vars(errors).items():
        if isinstance(value, type) and value.__module__ == errors.__name__:
            assert getattr(primus_sdk, name) is value
            assert name in primus_sdk.__all__
            if issubclass(value, Exception) and value is not PrimusError:
                assert len(value.__mro__) > 4, f"{name} is also a builtin error that a caller would expect"


def test_the_door_holds_what_it_lists_and_nothing_that_is_not_there() -> None:
    for name in primus_sdk.__all__:
        assert getattr(primus_sdk, name).__name__ == name
    assert sorted(set(primus_sdk.__all__)) == sorted(primus_sdk.__all__)
    with pytest.raises(AttributeError, match="'primus_sdk' has no attribute 'nothing'"):
        _ = primus_sdk.nothing
