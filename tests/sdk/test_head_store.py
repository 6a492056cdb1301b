"""A store of heads: always one whole current head, whatever is damaged, saved and rolled back to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import current, damage, file_of, filled, head, number_of

from primus_sdk.errors import HeadError, OutputError
from primus_sdk.heads import store as head_store
from primus_sdk.heads.index import Entry, Index
from primus_sdk.heads.store import HeadStore


def test_the_head_saved_last_is_the_current_one(tmp_path: Path) -> None:
    store = filled(tmp_path / "heads" / "mine", 3)
    assert store.load().to_bytes() == head(3).to_bytes()
    assert number_of(store.load(2)) == 2
    assert [(v.version, v.current, number_of(v.head)) for v in store.history() if v.head] == [
        (1, False, 1),
        (2, False, 2),
        (3, True, 3),
    ]


def test_only_so_many_are_kept_and_numbers_are_never_given_twice(tmp_path: Path) -> None:
    store = filled(tmp_path, 7, keep=3)
    assert [version.version for version in store.history()] == [5, 6, 7]
    assert len(list(tmp_path.glob("head-*"))) == 3
    with pytest.raises(HeadError, match="no version 4 in the store; there are 5, 6, 7"):
        store.load(4)
    store.roll_back()
    store.roll_back()
    assert store.save(head(8)) == 8


def test_rolling_back_goes_from_head_to_head_that_was_current_before(tmp_path: Path) -> None:
    store = filled(tmp_path, 3)
    assert store.roll_back() == 2
    assert number_of(store.load()) == 2
    store.save(head(4))
    assert store.roll_back() == 2, "not 3, which had been rolled back from"
    assert store.roll_back() == 1
    with pytest.raises(HeadError, match="no older whole head"):
        store.roll_back()
    assert store.roll_back(to=4) == 4
    assert current(store) == [4]
    assert store.roll_back() == 1


def test_heads_that_were_rolled_back_from_go_first(tmp_path: Path) -> None:
    store = filled(tmp_path, 4, keep=4)
    store.roll_back(to=2)
    store.save(head(5))
    assert [version.version for version in store.history()] == [1, 2, 4, 5]


def test_a_damaged_current_head_names_roll_back_which_finds_the_newest_whole_one(tmp_path: Path) -> None:
    store = filled(tmp_path, 4)
    damage(file_of(tmp_path, 4))
    file_of(tmp_path, 3).unlink()
    with pytest.raises(HeadError, match=r"damaged.*roll_back"):
        store.load()
    assert [version.damage != "" for version in store.history()] == [False, False, True, True]
    with pytest.raises(HeadError, match="version 3 cannot be rolled back to"):
        store.roll_back(to=3)
    assert store.roll_back() == 2
    assert number_of(store.load()) == 2


def test_another_whole_head_in_its_place_is_damage_too(tmp_path: Path) -> None:
    store = filled(tmp_path, 2)
    file_of(tmp_path, 2).write_bytes(file_of(tmp_path, 1).read_bytes())
    with pytest.raises(HeadError, match="not what was saved"):
        store.load()


def test_every_flipped_bit_of_the_index_is_seen(tmp_path: Path) -> None:
    filled(tmp_path, 2)
    content = (tmp_path / "index.json").read_bytes()
    assert Index.from_bytes(content).trail == (1, 2)
    for position in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            with pytest.raises(HeadError):
                Index.from_bytes(bytes(changed))
    for kept in range(len(content)):
        with pytest.raises(HeadError):
            Index.from_bytes(content[:kept])


@given(st.binary(max_size=200))
def test_an_index_of_any_bytes_is_refused(content: bytes) -> None:
    with pytest.raises(HeadError):
        Index.from_bytes(content)


@pytest.mark.parametrize("lost", [True, False])
def test_a_damaged_index_is_made_anew_by_rolling_back(tmp_path: Path, lost: bool) -> None:
    store = filled(tmp_path, 3)
    damage(file_of(tmp_path, 3))
    (tmp_path / "index.json").unlink() if lost else damage(tmp_path / "index.json")
    for call in (store.load, store.history):
        with pytest.raises(HeadError, match="roll_back"):
            call()
    assert store.roll_back() == 2
    assert number_of(store.load()) == 2
    assert store.save(head(4)) == 4


def test_a_save_over_a_damaged_index_loses_no_whole_head(tmp_path: Path) -> None:
    store = filled(tmp_path, 3)
    damage(tmp_path / "index.json")
    assert store.save(head(4)) == 4
    assert [version.version for version in store.history()] == [1, 2, 3, 4]
    assert store.roll_back() == 3


def test_an_index_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    store = filled(tmp_path, 2)
    newer = json.loads((tmp_path / "index.json").read_bytes()) | {"schema_version": 2, "more": [1]}
    del newer["sha256"]
    from primus_sdk.heads.index import _sha256

    (tmp_path / "index.json").write_text(json.dumps(newer | {"sha256": _sha256(newer)}))
    for call in (store.load, store.history, store.roll_back, lambda: store.save(head(3))):
        with pytest.raises(HeadError, match="upgrade primus-imu"):
            call()


def test_an_empty_or_absent_folder_has_no_head(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        store = HeadStore(folder)
        for call in (store.load, store.history):
            with pytest.raises(HeadError, match="no head was saved"):
                call()
        with pytest.raises(HeadError):
            store.roll_back()
    assert not (tmp_path / "absent").exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write in"):
        HeadStore(tmp_path / "file").save(head(1))
    with pytest.raises(HeadError, match="keep is 1"):
        HeadStore(tmp_path, keep=1)


@pytest.mark.parametrize("failing", [1, 2])
def test_a_save_that_fails_leaves_the_old_head(tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path, 2)
    write, calls = head_store.write_atomically, []

    def fail(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == failing:
            raise OutputError("the disk is full")
        write(path, content)

    monkeypatch.setattr(head_store, "write_atomically", fail)
    with pytest.raises(OutputError, match="full"):
        store.save(head(3))
    monkeypatch.undo()
    assert number_of(store.load()) == 2
    assert store.save(head(4)) == 3
    assert number_of(store.load()) == 4


def test_what_killed_saves_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    store = filled(tmp_path, 2)
    for name in (".head-00000003.safetensors.x1y2", ".index.json.abc", "head-00000009.safetensors"):
        (tmp_path / name).write_bytes(b"half")
    for name in ("notes.txt", "head-backup.safetensors", ".hidden"):
        (tmp_path / name).write_bytes(b"of somebody else")
    store.save(head(3))
    assert {path.name for path in tmp_path.iterdir()} == {
        *(file_of(tmp_path, version).name for version in (1, 2, 3)),
        *("index.json", ".lock", "notes.txt", "head-backup.safetensors", ".hidden"),
    }


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.just("save"), st.just("back"), st.integers(1, 12)), max_size=25), st.integers(2, 5))
def test_the_index_follows_its_rules_whatever_is_done(steps: list[str | int], keep: int) -> None:
    index, saved = Index(), 0
    for step in steps:
        versions = [entry.version for entry in index.entries]
        if step == "save":
            saved += 1
            before = index.trail[-1:] if index.trail else ()
            index = index.with_current(Entry(index.next_version, f"{saved:064x}"), keep)
            assert index.trail[-1] == index.entries[-1].version == saved
            assert set(before) <= {entry.version for entry in index.entries}, "what was current can be rolled back to"
        elif step == "back" and len(index.trail) > 1:
            index = index.rolled_back(index.trail[-2])
        elif isinstance(step, int) and step in versions:
            index = index.rolled_back(step)
            assert index.trail[-1] == step
        assert len(index.entries) <= keep
        assert Index.from_bytes(index.to_bytes()) == index
        assert len(set(index.trail)) == len(index.trail)


def test_a_store_whose_first_save_was_killed_holds_no_head(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_bytes(Index().to_bytes())
    for call in (HeadStore(tmp_path).history, HeadStore(tmp_path).load):
        with pytest.raises(HeadError, match="no whole head is in the store"):
            call()


def numbered(folder: Path, next_version: int) -> HeadStore:
    """A store of one head, whose next one gets that number."""
    store = filled(folder, 1)
    index = Index.from_bytes((folder / "index.json").read_bytes())
    (folder / "index.json").write_bytes(Index(index.entries, index.trail, next_version).to_bytes())
    return store


def test_a_store_whose_numbers_are_used_up_says_so_and_writes_nothing(tmp_path: Path) -> None:
    store = numbered(tmp_path, 999_999_998)
    assert store.save(head(2)) == 999_999_998
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(HeadError, match="no version numbers left"):
        store.save(head(3))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert number_of(store.load()) == 2
    assert store.roll_back() == 1
    (tmp_path / "index.json").unlink()
    with pytest.raises(HeadError, match="no version numbers left"):
        store.save(head(3))
    assert store.roll_back() == 999_999_998


@pytest.mark.parametrize(
    "name",
    [
        "head-999999999.safetensors",
        "head-999999998.safetensors",
        "head-00000000.safetensors",
        "head-000000001.safetensors",
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_file_of_a_number_that_no_save_gives_does_no_harm(tmp_path: Path, name: str, whole: bool) -> None:
    store = filled(tmp_path, 1)
    last = name == "head-999999998.safetensors"
    (tmp_path / name).write_bytes(head(9).to_bytes() if whole else b"half")
    (tmp_path / "index.json").unlink()
    if last and whole:
        assert store.roll_back() == 999_999_998
        assert number_of(store.load()) == 9
        return
    assert store.save(head(2)) == 2
    assert store.save(head(3)) == 3
    assert [number_of(version.head) for version in store.history() if version.head] == [1, 2, 3]
    assert (tmp_path / name).exists() != last, "what is no version is left alone"


def test_versions_of_nine_digits_come_after_those_of_eight(tmp_path: Path) -> None:
    store = numbered(tmp_path, 99_999_999)
    for number in (2, 3):
        store.save(head(number))
    (tmp_path / "index.json").unlink()
    assert store.roll_back() == 100_000_000
    assert store.roll_back() == 99_999_999


@pytest.mark.parametrize("next_version", [0, 1_000_000_000])
def test_an_index_without_a_number_to_give_is_damaged(next_version: int) -> None:
    with pytest.raises(HeadError, match="damaged"):
        Index.from_bytes(Index(next_version=next_version).to_bytes())


@pytest.mark.parametrize("keep", ["x", 2.5, True, None, 1])
def test_only_a_whole_number_of_heads_is_kept(tmp_path: Path, keep: Any) -> None:
    with pytest.raises(HeadError, match="keep is"):
        HeadStore(tmp_path, keep)


def test_a_folder_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(HeadError, match="zero byte"):
        HeadStore("a\0b")
