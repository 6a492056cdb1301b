"""Preparing on a Ray cluster of two nodes gives the bytes that it gives here, also after it was stopped."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data_set import FakeDataSet, OpenFake, contents
from small_clip import write_video

from primus_models.errors import PreparedError
from primus_models.preparation.on_ray import OnRay
from primus_models.preparation.prepared import load
from primus_models.preparation.preparing import PARTS, prepare
from primus_models.towers.base import Towers
from primus_sdk.errors import RuntimeUnavailableError

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="pip install 'primus-imu[ray]'")
TOWERS = Towers((OpenFake(),), (OpenFake(),))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", paths)  # the nodes' processes find the fake data set as real ones find ours
        cluster_utils = importlib.import_module("ray.cluster_utils")
        small = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80_000_000}
        cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=small)
        cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
        yield cluster.address
        cluster.shutdown()


class Stopping(OnRay):
    """A cluster that one is cut off from after a few results."""

    left = 3

    def map(self, function: Callable[[Any], Any], items: Sequence[Any], gpus: float = 0) -> Iterator[tuple[int, Any]]:
        for result in super().map(function, items, gpus):
            yield result
            Stopping.left -= 1
            if Stopping.left == 0:
                raise KeyboardInterrupt


@needs_ray
def test_two_nodes_give_the_bytes_of_one_process_and_a_stopped_run_goes_on(address: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    frames = np.random.default_rng(0).integers(0, 256, (120, 32, 48, 3), np.uint8)
    write_video(tmp_path / "take2.mp4", frames)
    (tmp_path / "take4.mp4").write_bytes(b"no video")
    data_set = FakeDataSet(videos=str(tmp_path), damaged=("take5",))
    here = prepare(data_set, tmp_path / "here", TOWERS)
    with pytest.raises(KeyboardInterrupt), Stopping(address) as cluster:
        prepare(data_set, tmp_path / "there", TOWERS, cluster)
    parts = len(list((tmp_path / "there" / PARTS).glob("*.safetensors")))
    assert parts in (2, 3)  # of three results, and one of them may be the take that fails
    with OnRay(address) as cluster:
        there = prepare(data_set, tmp_path / "there", TOWERS, cluster)
    assert (there.read, there.known, there.failed) == (5 - parts, parts, here.failed)
    assert there.towers == here.towers
    assert here.towers["fake-tower"]["windows"] > 5
    assert list(here.failed) == ["take5"]
    assert "take4.mp4" in load(tmp_path / "there").left_out["take4 video"]
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_where_no_cluster_is_it_is_said_in_one_line() -> None:
    if importlib.util.find_spec("ray") is None:
        with pytest.raises(RuntimeUnavailableError, match=r"primus-imu\[ray\]"):
            OnRay("auto")
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"127.0.0.1:{server.getsockname()[1]}"
    for address, said in ((nobody, "nothing answers"), ("cluster", "no address"), ("a:b", "no address")):
        with pytest.raises(PreparedError, match=said) as caught:
            OnRay(address)
        assert "\n" not in str(caught.value)
