"""`primus-stream` on a folder of one's own recordings, the picture of every source, and what options go with which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from primus_sdk import load
from primus_sdk.commands.stream import main
from primus_sdk.windowing.windows import Window, WindowStream

START = 1_700_000_000_000_000_000
POSES = {"upright": (0.0, 9.8, 0.0), "lying": (0.0, 0.0, 9.8)}


def samples(pose: str, seconds: float = 20, hertz: int = 50, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) and rows (n, 6) of someone who stays in a pose."""
    random = np.random.default_rng(seed)
    count = round(seconds * hertz)
    times = START + np.arange(count, dtype=np.int64) * (10**9 // hertz)
    acceleration = random.normal(0, 0.1, (count, 3)) + np.array(POSES[pose])
    return times, np.hstack([acceleration, random.normal(0, 0.05, (count, 3))])


def table(times: np.ndarray, rows: np.ndarray, header: str = "t,ax,ay,az,gx,gy,gz\n", scale: float = 1e-9) -> bytes:
    lines = [f"{t * scale:.9f}," + ",".join(f"{x:.9f}" for x in row) + "\n" for t, row in zip(times, rows, strict=True)]
    return (header + "".join(lines)).encode()


@pytest.fixture(scope="module")
def head(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head that tells the two poses apart."""
    windows: list[Window] = []
    labels: list[str] = []
    for seed in range(3):
        for pose in POSES:
            stream = WindowStream(5.0)
            found = stream.push(*samples(pose, seed=seed)) + stream.flush()
            windows, labels = windows + found, labels + [pose] * len(found)
    path = tmp_path_factory.mktemp("head") / "poses.safetensors"
    with load(folder) as recogniser:
        recogniser.calibrate(windows, labels).save(path)
    return path


def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def windows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def labelled(root: Path, users: dict[str, str] | None = None) -> Path:
    """Two labels and two recordings of each; with an index where users are named."""
    for pose in POSES:
        for seed in (1, 2):
            (root / pose).mkdir(parents=True, exist_ok=True)
            (root / pose / f"{seed}.csv").write_bytes(table(*samples(pose, seed=seed)))
    if users is not None:
        rows = [f"{pose}/{seed}.csv,{pose},{users[str(seed)]}\n" for pose in POSES for seed in (1, 2)]
        (root / "recordings.csv").write_text("file,label,user\n" + "".join(rows))
    return root


def test_a_folder_of_one_persons_recordings_is_streamed_through_the_head(
    folder: Path, head: Path, tmp_path: Path
) -> None:
    root = labelled(tmp_path / "mine")
    (root / "lying" / "bad.csv").write_bytes(b"")
    result = invoke("--dataset", "folder", root, "--bundle", folder, "--head", head, "--json")
    found = windows(result)
    assert [window["recording"] for window in found[::16]] == [
        "lying/1.csv", "lying/2.csv", "upright/1.csv", "upright/2.csv"
    ]  # fmt: skip
    assert all(window["true"] == window["label"] for window in found)
    assert "4 recordings read, 1 left out" in result.stderr
    plain = invoke("--dataset", "folder", root, "--bundle", folder, "--head", head)
    assert "64 of 64 windows right (100.0%)" in plain.stdout
    missing = invoke("--dataset", "folder", root, "--bundle", folder)
    assert missing.exit_code == 1
    assert "--head" in missing.stderr


def test_a_folder_of_two_people_is_a_trial(folder: Path, tmp_path: Path) -> None:
    root = labelled(tmp_path / "ours", {"1": "Ada", "2": "Bob"})
    begin, *found, summary = windows(invoke("--dataset", "folder", root, "--bundle", folder, "--json"))
    assert {*begin["streamed"], *begin["calibrated_on"]} == {"Ada", "Bob"}
    assert {window["user"] for window in found} == set(begin["streamed"])
    assert summary["accuracy"] == 1.0
    kept = tmp_path / "kept.safetensors"
    plain = invoke("--dataset", "folder", root, "--bundle", folder, "--save-head", kept)
    assert plain.exit_code == 0
    assert kept.exists()
    assert "windows of 1 person, now streaming 1 person it has not seen" in " ".join(plain.stdout.split())


@pytest.mark.parametrize("source", ["csv", "folder", "stdin", "folder of two"])
def test_every_source_can_be_drawn(folder: Path, head: Path, tmp_path: Path, source: str) -> None:
    (tmp_path / "a.csv").write_bytes(table(*samples("lying")))
    arguments: list[object] = {
        "csv": [tmp_path / "a.csv", "--head", head, "--reject-below", "0.9"],
        "folder": ["--dataset", "folder", labelled(tmp_path / "mine"), "--head", head],
        "stdin": ["-", "--head", head],
        "folder of two": ["--dataset", "folder", labelled(tmp_path / "ours", {"1": "Ada", "2": "Bob"})],
    }[source]
    plot = tmp_path / "out.png"
    result = invoke(*arguments, "--bundle", folder, "--plot", plot, stdin=(tmp_path / "a.csv").read_bytes())
    assert result.exit_code == 0, result.output
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert f"wrote {plot}" in result.stdout


def test_a_plot_of_embeddings_alone_is_refused_before_anything_streams(folder: Path, tmp_path: Path) -> None:
    result = invoke("-", "--bundle", folder, "--json", "--plot", tmp_path / "a.png", stdin=table(*samples("lying")))
    assert result.exit_code == 1
    assert "--head" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dataset", "watch", "--columns", "1,2,3,4,5,6,7"],
        ["--dataset", "watch", "--device", "phone"],
        ["--dataset", "folder"],
        ["--dataset", "folder", "x", "--convention", "ios"],
        ["-", "--speed", "1x"],
        ["-", "--save-head", "x"],
        ["x.csv", "--device", "phone"],
        ["x.jsonl", "--columns", "1,2,3,4,5,6,7"],
    ],
)
def test_options_that_say_nothing_of_a_source_are_usage_errors(folder: Path, arguments: list[str]) -> None:
    result = invoke(*arguments, "--bundle", folder)
    assert result.exit_code == 2, result.output
    assert "Error: " in result.stderr
