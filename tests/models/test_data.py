from __future__ import annotations

import numpy as np
import pytest

from primus_models.checkpoint import Checkpoint
from primus_models.data import Signal, held_out, signals_of, split, windows
from primus_models.errors import TrainingError
from primus_models.evaluation.embedding import embed, random_weights
from primus_models.evaluation.scores import macro_f1
from primus_models.features import handcrafted
from primus_models.graph import Array
from primus_sdk.recordings import Recording, Samples


def person(user: int, tilt: float) -> list[Signal]:
    """Somebody who does three things that differ in the sensor's tilt and in pace."""
    generator = np.random.default_rng(user)
    t = np.arange(1500) / 50
    made = []
    for label, angle, pace in (("lying", 1.4, 0.1), ("sitting", 0.0, 0.2), ("running", 0.2, 2.6)):
        imu = generator.normal(0, 0.05, (6, len(t)))
        imu[0] += 9.81 * np.sin(angle + tilt)
        imu[1] += 9.81 * np.cos(angle + tilt) + pace * np.sin(2 * np.pi * pace * t)
        imu[3] += pace * np.cos(2 * np.pi * pace * t)
        made.append(Signal(str(user), label, imu.astype(np.float32)))
    return made


@pytest.fixture(scope="module")
def signals() -> list[Signal]:
    return [signal for user in range(1, 23) for signal in person(user, 0.01 * user)]


def test_every_fifth_person_is_held_out() -> None:
    assert held_out(str(n) for n in range(27, 0, -1)) == ["5", "10", "15", "20", "25"]


def test_nobody_is_on_both_sides(signals: list[Signal]) -> None:
    known, unseen = split(signals)
    assert {s.user for s in unseen} == {"5", "10", "15", "20"}
    assert len({s.user for s in known}) == 18
    with pytest.raises(TrainingError, match="five people"):
        split(signals[:12])


def test_windows_lie_side_by_side() -> None:
    counting = Signal("1", "a", np.arange(6 * 750, dtype=np.float32).reshape(6, 750))
    imu, labels, users = windows([counting, counting])
    assert imu.shape == (6, 6, 250)
    assert np.array_equal(np.concatenate(list(imu[:3]), axis=1), counting.imu)
    assert labels.tolist() == ["a"] * 6
    assert users.tolist() == ["1"] * 6


def test_a_gap_parts_a_recording_into_signals() -> None:
    def sensor(value: float) -> Samples:
        times = np.concatenate([np.arange(0, 22 * 10**9, 10**7), np.arange(40 * 10**9, 52 * 10**9, 10**7)])
        return Samples(times, np.full((len(times), 3), value))

    signals = signals_of(Recording("r", "3", "still", sensor(5.0), sensor(0.1)))
    assert [s.imu.shape[1] // 250 for s in signals] == [4, 2]
    assert all((s.user, s.label) == ("3", "still") for s in signals)
    assert all(np.allclose(s.imu[:3], 5.0, atol=1e-4) and np.allclose(s.imu[3:], 0.1, atol=1e-5) for s in signals)


def test_macro_f1_weighs_labels_alike() -> None:
    truth, predicted = np.array(["a"] * 8 + ["b"] * 2), np.array(["a"] * 10)
    assert macro_f1(truth, predicted) == pytest.approx((16 / 18 + 0) / 2)
    assert macro_f1(truth, truth) == 1


def test_the_random_yardstick_is_another_network_of_the_same_kind(tensors: dict[str, Array], imu: Array) -> None:
    checkpoint = Checkpoint("primus", tensors)
    random = random_weights(checkpoint)
    assert (random.tensors["backbone.0.weight"] == 1).all()
    assert (random.tensors["backbone.4.bias"] == 0).all()
    assert 0.9 / 512**0.5 < np.abs(random.tensors["mmcl_head.bias"]).max() <= 1 / 512**0.5
    assert random_weights(checkpoint).sha256 == random.sha256 != checkpoint.sha256
    assert not np.allclose(embed(random, imu), embed(checkpoint, imu))


def test_handcrafted_features_see_what_they_name() -> None:
    t = np.arange(250) / 50
    slow, fast = np.zeros((2, 6, 250), np.float32)
    slow[0], fast[0] = np.sin(2 * np.pi * t), np.sin(2 * np.pi * 6 * t)
    features = handcrafted(np.stack([slow, fast, slow + 1]))
    assert features.shape == (3, 123)
    assert np.isfinite(features).all()
    bands = features[:, 16:28]
    assert bands[0].argmax() < bands[1].argmax()
    assert features[2, 0] == pytest.approx(1, abs=1e-3)
