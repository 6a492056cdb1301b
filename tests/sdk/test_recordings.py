"""Published files in, labelled recordings in SI units out; what cannot be used is named, never silently lost."""

from __future__ import annotations

import io
import itertools
import lzma
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Report, classyglass, watch
from primus_sdk.recordings.classyglass_labels import ACTIVITIES, EXPERIMENTS
from primus_sdk.windowing.sensors import STANDARD_GRAVITY

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "data" / "classyglass-1AB.tar.xz"
FIRST_MS = 1_568_491_862_193


def sensor_file(sensor: str, rows: int = 4, first_ms: int = FIRST_MS) -> bytes:
    """One CSV of the published form; row i holds i, i + .25 and -i."""
    unit = {"Accelerometer": "g", "Gyroscope": "deg/s"}[sensor]
    header = "epoch (ms),time (-13:00),elapsed (s)," + ",".join(f"{axis}-axis ({unit})" for axis in "xyz")
    lines = [
        f"{first_ms + 10 * i},2019-09-14T16:11:02.193,{i / 100:.3f},{i:.3f},{i + 0.25:.3f},{-i:.3f}"
        for i in range(rows)
    ]
    return "\n".join([header, *lines, ""]).encode()


def write(
    root: Path, user: str, experiment: int, *sensors: str, when: str = "16.11.02", dataset: str = "Dataset_1A"
) -> None:
    folder = root / "Datasets" / dataset / user
    folder.mkdir(parents=True, exist_ok=True)
    for sensor in sensors or ("Accelerometer", "Gyroscope"):
        name = f"{experiment}_MetaWear_2019-09-14T{when}_F1E55E2FE95F_{sensor}_100.000Hz_1.4.5.csv"
        (folder / name).write_bytes(sensor_file(sensor))


def files_of(root: Path, user: str) -> dict[str, Path]:
    return {path.name.split("_")[-3]: path for path in sorted((root / "Datasets" / "Dataset_1A" / user).iterdir())}


def archive(root: Path, path: Path) -> Path:
    with tarfile.open(path, "w:" + path.suffix[1:].replace("tar", "")) as tar:
        tar.add(root / "Datasets", "Datasets")
    return path


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Users 2 and 10, two experiments each, and a user of the other data set."""
    root = tmp_path / "ClassyGlass"
    for user, experiment in (("User2", 20), ("User2", 13), ("User10", 109), ("User10", 100)):
        write(root, user, experiment)
    write(root, "User1", 1, dataset="Dataset_2")
    return root


def test_recordings_come_with_user_label_and_si_units(published: Path) -> None:
    recordings = list(classyglass.read(published))
    assert [(r.name, r.user, r.label) for r in recordings] == [
        ("classyglass-13", "2", "writing"),
        ("classyglass-20", "2", "walking"),
        ("classyglass-100", "10", "reading"),
        ("classyglass-109", "10", "running"),
    ]
    first = recordings[0]
    rows = np.array([[i, i + 0.25, -i] for i in range(4)])
    np.testing.assert_allclose(first.accelerometer.values, rows * STANDARD_GRAVITY)
    np.testing.assert_allclose(first.gyroscope.values, np.deg2rad(rows))
    assert first.gyroscope.timestamps_ns.tolist() == [(FIRST_MS + 10 * i) * 1_000_000 for i in range(4)]
    assert first.accelerometer.duration_s == 0.03


@pytest.mark.parametrize("level", ["", "Datasets", "Datasets/Dataset_1A"])
def test_any_level_of_the_published_folder_will_do(published: Path, level: str) -> None:
    assert len(list(classyglass.read(published / level))) == 4


@pytest.mark.parametrize("suffix", ["tar", "tar.xz", "tar.gz"])
def test_the_archive_gives_what_the_folder_gives(published: Path, tmp_path: Path, suffix: str) -> None:
    folder = {r.name: r for r in classyglass.read(published)}
    packed = {r.name: r for r in classyglass.read(archive(published, tmp_path / f"data.{suffix}"))}
    assert packed.keys() == folder.keys()
    for name, recording in packed.items():
        np.testing.assert_array_equal(recording.accelerometer.values, folder[name].accelerometer.values)
        np.testing.assert_array_equal(recording.gyroscope.timestamps_ns, folder[name].gyroscope.timestamps_ns)
    assert not list(tmp_path.glob("Datasets"))


def test_the_other_data_set_is_not_taken_for_this_one(published: Path) -> None:
    assert "classyglass-1" not in {r.name for r in classyglass.read(published)}
    with pytest.raises(RecordingError, match="no ClassyGlass recording"):
        list(classyglass.read(published / "Datasets" / "Dataset_2"))


def test_pairs_that_are_missing_or_doubled_are_left_out_and_named(published: Path) -> None:
    write(published, "User2", 14, "Gyroscope")
    write(published, "User2", 15)
    write(published, "User2", 15, "Accelerometer", when="17.00.00")
    report = Report()
    assert len(list(classyglass.read(published, report))) == report.read == 4
    assert report.skipped == {
        "User2/14": "only the gyroscope's file is there and readable",
        "User2/15": "3 files where one accelerometer's and one gyroscope's were expected",
    }
    assert "4 recordings read, 2 left out" in str(report)


def test_folders_at_odds_with_the_sheets_are_left_out_and_named(published: Path) -> None:
    write(published, "User2", 1)
    write(published, "User2", 78)
    report = Report()
    assert len(list(classyglass.read(published, report))) == 4
    assert report.skipped == {
        "User2/1": "the label sheets give this experiment to User1",
        "User2/78": "the label sheets do not list this experiment",
    }


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-3], "cut short"),
        (lambda content: content[:40], "columns"),
        (lambda content: b"", "columns"),
        (lambda content: content.replace(b"(g)", b"(m/s^2)"), "columns"),
        (lambda content: content.replace(b"2.250", b"2.2x0"), "malformed"),
        (lambda content: content.replace(b",2.250", b""), "malformed"),
        (lambda content: content.replace(b"2.250", b"nan"), "not finite"),
        (lambda content: content[: content.index(b"\n") + 1], "cut short"),
        (lambda content: b"\n".join(content.split(b"\n")[:2]) + b"\n", "fewer than two rows"),
        (lambda content: content.replace(str(FIRST_MS).encode(), b"1e300"), "not milliseconds"),
    ],
)
def test_a_damaged_file_is_left_out_and_named(published: Path, damage, reason: str) -> None:
    write(published, "User3", 31)
    file = files_of(published, "User3")["Accelerometer"]
    file.write_bytes(damage(file.read_bytes()))
    report = Report()
    assert "classyglass-31" not in {r.name for r in classyglass.read(published, report)}
    assert reason in report.skipped[f"User3/{file.name}"]
    assert report.skipped["User3/31"] == "only the gyroscope's file is there and readable"


def test_a_cut_archive_gives_what_lies_before_the_cut_and_says_so(published: Path, tmp_path: Path) -> None:
    plain = archive(published, tmp_path / "data.tar").read_bytes()
    cut = tmp_path / "cut.tar.xz"
    cut.write_bytes(lzma.compress(plain)[:-40])
    report = Report()
    recordings = list(classyglass.read(cut, report))
    assert len(recordings) == report.read
    assert "damaged" in report.skipped["cut.tar.xz"]


def test_a_user_in_two_places_of_an_archive_is_not_silently_paired_anew(published: Path, tmp_path: Path) -> None:
    path = tmp_path / "mixed.tar"
    with tarfile.open(path, "w") as tar:
        for sensor, user in itertools.product(("Accelerometer", "Gyroscope"), ("User2", "User10")):
            for file in sorted((published / "Datasets" / "Dataset_1A" / user).glob(f"*{sensor}*")):
                tar.add(file, f"Datasets/Dataset_1A/{user}/{file.name}")
    with pytest.raises(RecordingError, match="left out"):
        list(classyglass.read(path))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no tar", bytes(2000)])
def test_what_is_no_classyglass_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.tar.xz"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"some\.tar\.xz"):
        list(classyglass.read(path))


def test_an_absent_or_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="nothing at"):
        list(classyglass.read(tmp_path / "absent"))
    with pytest.raises(RecordingError, match="no ClassyGlass recording"):
        list(classyglass.read(tmp_path))


def test_the_label_table_follows_the_sheets() -> None:
    assert len(ACTIVITIES) == 15
    assert {user for user, _ in EXPERIMENTS.values()} == {str(user) for user in range(1, 28)}
    # What the sheets call missing has no number in the table; "modulo 15" would mislabel what follows.
    assert not EXPERIMENTS.keys() & {78, 126, 129, 172, 274, 310, 311, 338, 339}
    assert EXPERIMENTS[132] == ("12", "stairs")
    assert EXPERIMENTS[147] == ("13", "picking up standing")
    assert [EXPERIMENTS[n] for n in (306, 307, 308)] == [
        ("24", "walking"), ("24", "stairs"), ("24", "glasses on-off sitting")
    ]  # fmt: skip
    assert EXPERIMENTS[351] == ("27", "glasses on-off standing")
    assert len(EXPERIMENTS) == 12 * 11 + 15 * 15 - 15  # fifteen that the sheets call missing


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published ClassyGlass archive is not beside the repository")
def test_the_published_archive_reads_in_one_pass() -> None:
    report = Report()
    first = list(itertools.islice(classyglass.read(PUBLISHED, report), 10))
    assert {r.user for r in first} == {"8"}
    assert [r.label for r in first] == list(ACTIVITIES[1:11])  # the sheet calls user 8's reading missing
    assert not report.skipped
    for recording in first:
        assert recording.accelerometer.duration_s > 30
        size = np.linalg.norm(recording.accelerometer.values, axis=1)
        assert 9 < np.median(size) < 10.7


def test_the_watch_data_are_140_recordings_of_10_people() -> None:
    recordings = watch.read()
    assert len(recordings) == len({r.name for r in recordings}) == 140
    assert {r.user for r in recordings} == {str(user) for user in range(1, 11)}
    assert {r.label for r in recordings} == set(watch.LABELS.values())
    for recording in recordings:
        assert np.diff(recording.gyroscope.timestamps_ns).tolist() == [20_000_000] * (
            len(recording.gyroscope.values) - 1
        )
    sizes = [np.median(np.linalg.norm(r.accelerometer.values, axis=1)) for r in recordings]
    assert 9 < np.median(sizes) < 12
    assert 0.1 < np.std(np.concatenate([r.gyroscope.values for r in recordings])) < 5


def test_reading_the_watch_data_does_not_import_seglearn() -> None:
    code = "import sys; from primus_sdk.recordings import watch; watch.read(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"seglearn", "pandas", "sklearn", "scipy"} & set(loaded)


class Runs:
    """A pickle that would touch a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


def npy(value: object) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    array = np.empty((), object)
    array[()] = value
    return file.getvalue() + pickle.dumps(array, protocol=2)


@pytest.mark.parametrize("key", ["X", "y_labels", "anything"])
def test_code_in_the_pickle_is_never_run(tmp_path: Path, key: str) -> None:
    trace, file = tmp_path / "ran", tmp_path / "watch_dataset.npy"
    data = {"X": [np.ones((9, 6))], "y": np.array([0]), "subject": np.array([1]), "y_labels": ["PEN"]}
    file.write_bytes(npy(data))
    assert watch.read(file)[0].label == "pendulum"
    file.write_bytes(npy(data | {key: Runs(trace)}))
    with pytest.raises(RecordingError, match="asks for"):
        watch.read(file)
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        npy({})[:-1],
        npy({}),
        npy([1, 2]),
        npy({"X": [np.ones((9, 5))], "y": np.array([0]), "subject": np.array([1]), "y_labels": ["PEN"]}),
        npy({"X": [np.ones((9, 6))], "y": np.array([5]), "subject": np.array([1]), "y_labels": ["PEN"]}),
        npy({"X": [np.ones((9, 6))], "y": np.array([0, 0]), "subject": np.array([1]), "y_labels": ["PEN"]}),
    ],
)
def test_another_file_in_its_place_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "watch_dataset.npy"
    file.write_bytes(content)
    with pytest.raises(RecordingError, match="not seglearn's watch data"):
        watch.read(file)


def test_without_seglearn_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RecordingError, match=r"pip install --no-deps seglearn==1\.2\.5"):
        watch.read()
