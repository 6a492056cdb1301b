"""The rest gate, smoothing and rejection, held against a plain model of their rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from primus_sdk import Counts, Head, HeadError, PrimusError, Quality, StreamError, Window, WindowError
from primus_sdk.streaming.recognition import LONGEST_SMOOTHING, Recognition, Rules, SequenceRecogniser

ENCODER = "ab" * 32
HEADS = [
    Head(("a", "b", "c"), np.random.default_rng(seed).normal(0, 0.2, (3, 512)), np.zeros(3), ENCODER)
    for seed in range(2)
]


class Fake:
    """Embeds a window as its first number, 512 times; refuses those of -1, as if their units were wrong."""

    def __init__(self, head: Head | None = None) -> None:
        self.head, self.closed = head, False
        self.runs: list[int] = []

    def embed(self, windows):
        if (windows[..., 0, 0] == -1).any():
            raise WindowError("made to fail")
        self.runs.append(1 if windows.ndim == 2 else len(windows))
        return np.repeat(windows[..., 0, 0][..., np.newaxis], 512, axis=-1) * np.linspace(-1, 1, 512, dtype=np.float32)

    def when_closed(self, sleeper) -> None:
        pass


@dataclass
class Step:
    """What a stream meets: a window that is still or not, after a reset or not, refused or not, and the head then."""

    still: bool
    after_reset: bool
    bad: bool
    head: int | None
    value: int


STEPS = st.lists(
    st.builds(
        Step,
        st.booleans(),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([False, False, False, False, True]),
        st.sampled_from([0, 0, 0, 0, 1, None]),
        st.integers(0, 9),
    ),
    max_size=30,
)


def window(step: Step, number: int) -> Window:
    imu = np.full((6, 250), -1 if step.bad else step.value, np.float32)
    quality = Quality(1.0, 0.02, 50.0, 50.0, 0.0, 0.0, step.still, step.after_reset)
    return Window(imu, number, number + 5_000_000_000, quality)


def model(steps: list[Step], rules: Rules) -> list[tuple[int, int, bool, np.ndarray | None] | None]:
    """(window, value embedded, held, probabilities) of each window that is recognised, None for the others."""
    told: list[tuple[int, int, bool, np.ndarray | None] | None] = []
    head, standing, recent = None, None, []
    for number, step in enumerate(steps):
        if step.after_reset or step.head != head:
            standing, recent = None, []
        head = step.head
        held = rules.rest_gate and step.still and standing is not None
        if not held and step.bad:
            standing = None
            told.append(None)
            continue
        value = standing if held else step.value
        standing = value if step.still else None
        smoothed = None
        if head is not None:
            embedding = Fake().embed(np.full((6, 250), value, np.float32))
            recent = [*recent, HEADS[head].probabilities(embedding)][-rules.smoothing :]
            smoothed = sum(recent) / len(recent)
        told.append((number, value, held, smoothed))
    return told


def check(recognition: Recognition, expected, rules: Rules) -> None:
    number, value, held, smoothed = expected
    assert recognition.window.start_ns == number
    assert recognition.held == held
    assert np.array_equal(recognition.embedding, Fake().embed(np.full((6, 250), value, np.float32)))
    prediction = recognition.prediction
    assert (prediction is None) == (smoothed is None)
    if prediction is not None:
        assert np.abs(prediction.values - smoothed).max() < 1e-12
        assert prediction.likeliest == "abc"[int(prediction.values.argmax())]
        assert prediction.probability == prediction.values.max() == prediction.probabilities[prediction.likeliest]
        assert prediction.label == (None if prediction.probability < rules.reject_below else prediction.likeliest)


RULES = st.builds(Rules, st.sampled_from([1, 2, 3, 7]), st.sampled_from([0.0, 0.4, 0.6, 1.0]), st.booleans())


@settings(deadline=None)
@given(steps=STEPS, rules=RULES)
def test_one_after_the_other_follows_the_rules(steps, rules) -> None:
    fake = Fake()
    sequence = SequenceRecogniser(fake, rules, None)
    expected = model(steps, rules)
    for number, (step, told) in enumerate(zip(steps, expected, strict=True)):
        fake.head = None if step.head is None else HEADS[step.head]
        if told is None:
            with pytest.raises(WindowError):
                sequence.one(window(step, number))
        else:
            check(sequence.one(window(step, number)), told, rules)
    held = sum(told is not None and told[2] for told in expected)
    assert sequence.counts == Counts(len(steps), len(fake.runs), held)


@settings(deadline=None)
@given(steps=STEPS, rules=RULES, sizes=st.lists(st.integers(1, 9), min_size=30, max_size=30))
def test_several_at_once_follow_the_same_rules(steps, rules, sizes) -> None:
    """A head holds for a lot at least; a lot with a window that is refused is done one by one."""
    fake = Fake()
    sequence = SequenceRecogniser(fake, rules, None)
    lots, begin = [], 0
    for size in sizes:
        lots.append(range(begin, min(begin + size, len(steps))))
        begin += size
    for lot in lots:
        for number in lot:
            steps[number].head = steps[lot[0]].head
    expected = model(steps, rules)
    for lot in filter(len, lots):
        head = steps[lot[0]].head
        fake.head = None if head is None else HEADS[head]
        windows = [window(steps[number], number) for number in lot]
        try:
            done = sequence.several(windows)
        except WindowError:
            assert any(steps[number].bad for number in lot)
            for number, one in zip(lot, windows, strict=True):
                if expected[number] is None:
                    with pytest.raises(WindowError):
                        sequence.one(one)
                else:
                    check(sequence.one(one), expected[number], rules)
        else:
            for number, recognition in zip(lot, done, strict=True):
                check(recognition, expected[number], rules)
    told = [told for told in expected if told is not None]
    held = sum(told[2] for told in told)
    assert sequence.counts == Counts(len(steps), len(told) - held, held)
    assert sum(fake.runs) == len(told) - held


def test_what_came_before_a_rest_is_forgotten_after_as_many_windows_as_are_smoothed() -> None:
    fake = Fake(HEADS[0])
    sequence = SequenceRecogniser(fake, Rules(smoothing=3, rest_gate=True), None)
    values = [9, 9, 9, 1, 2, 3, 4]
    steps = [Step(still=number >= 3, after_reset=False, bad=False, head=0, value=v) for number, v in enumerate(values)]
    done = [sequence.one(window(step, number)) for number, step in enumerate(steps)]
    assert [r.held for r in done] == [False] * 4 + [True] * 3
    at_rest = HEADS[0].probabilities(done[3].embedding)
    assert np.abs(done[3].prediction.values - at_rest).max() > 0.01
    assert np.abs(done[5].prediction.values - at_rest).max() < 1e-12


def test_a_held_embedding_cannot_be_written_to() -> None:
    sequence = SequenceRecogniser(Fake(), Rules(rest_gate=True), None)
    first = sequence.one(window(Step(True, False, False, None, 1), 0))
    with pytest.raises(ValueError, match="read-only"):
        first.embedding[0] = 1


@pytest.mark.parametrize("smoothing", [1, 3])
def test_a_held_windows_probabilities_cannot_be_written_to(smoothing) -> None:
    sequence = SequenceRecogniser(Fake(HEADS[0]), Rules(smoothing=smoothing, rest_gate=True), None)
    first = sequence.one(window(Step(True, False, False, None, 1), 0))
    with pytest.raises(ValueError, match="read-only"):
        first.prediction.values[0] = 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"smoothing": 0},
        {"smoothing": LONGEST_SMOOTHING + 1},
        {"smoothing": 1.5},
        {"reject_below": -0.1},
        {"reject_below": 1.1},
        {"reject_below": float("nan")},
    ],
)
def test_a_rule_out_of_its_range_is_refused(wrong) -> None:
    with pytest.raises(StreamError, match=next(iter(wrong))):
        Rules(**wrong)


def turned(head: Head, mount: np.ndarray | None) -> Head:
    """The head with a mount."""
    return Head(head.labels, head.weight, head.bias, ENCODER, mount=mount)


def test_a_head_with_another_mount_than_the_windows_is_an_error_and_never_a_wrong_label() -> None:
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    ours, plain = turned(HEADS[0], quarter), turned(HEADS[0], None)
    step = Step(False, False, False, 0, 1)
    for mount, right, wrong in ((quarter, ours, plain), (None, plain, ours), (np.eye(3), plain, ours)):
        fake = Fake(right)
        sequence = SequenceRecogniser(fake, Rules(smoothing=2), mount)
        before = sequence.one(window(step, 0))
        fake.head = wrong
        for _ in range(2):
            with pytest.raises(HeadError, match="make a new stream"):
                sequence.one(window(step, 1))
            with pytest.raises(HeadError, match="make a new stream"):
                sequence.several([window(step, 1)])
        fake.head = None
        assert sequence.one(window(step, 2)).prediction is None
        fake.head = right
        assert np.array_equal(sequence.one(window(step, 3)).prediction.values, before.prediction.values)
    assert issubclass(HeadError, PrimusError)
