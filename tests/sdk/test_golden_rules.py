"""The golden vectors beside the streams show what their names say; that the SDK gives them, test_golden.py tests."""

from __future__ import annotations

import golden
import golden_bouts
import golden_heads
import golden_mounts
import golden_poses
from golden import pairs

from primus_sdk.heads.head import Head

FOUND = {
    "acceleration_301": "moving", "acceleration_on_three_axes": "moving", "moving_upside_down": "moving",
    "acceleration_280_of_little_gravity": "moving", "rotation_101": "moving", "rotation_on_three_axes": "moving",
    "rotation_129_below_the_line": "moving", "second_less_over_half_a_sample": "short", "short": "short",
    "moving": "moving", "smooth_turn": "moving", "smooth_turn_of_a_slower_gyroscope": "moving",
    "smooth_turn_over_two_and_a_half_samples": "moving", "gravity_0_59": "no gravity", "no_gravity": "no gravity",
    "gravity_0_61": "size; axis", "gravity_over_12_percent_more": "size", "gravity_over_12_percent_less": "size",
    "odd_size": "size", "in_g_over_12_percent_more": "size", "not_in_g_over_12_percent_less": "size",
    "in_g_declared_already": "size", "not_in_g_though_not_declared": "size", "in_g": "in g",
    "in_g_under_12_percent_more": "in g", "not_in_g": "not in g", "not_in_g_under_12_percent_less": "not in g",
    "downward": "downward", "downward_under_ios": "downward", "downward_leaning_35": "downward; tilt",
    "as_much_along_z_as_y_down": "downward; tilt", "as_much_along_x_as_y": "axis; tilt",
    "as_much_along_y_as_z": "tilt", "axis_x_leaning_35": "axis; tilt", "leaning_31": "tilt", "tilted": "tilt",
    "bias_251": "gyroscope bias", "bias_on_three_axes": "gyroscope bias", "gyroscope_bias": "gyroscope bias",
    **dict.fromkeys(["other_axis", "axis_x_down", "axis_z_up", "axis_z_down"], "axis"),
    **dict.fromkeys(["axis_under_a_mount", "axis_under_a_mount_that_tilts"], "axis"),
    "in_deg_declared_already": "gyroscope size",
    **dict.fromkeys(["gyroscope_in_deg", "hardly_smooth_turn"], "gyroscope in deg/s"),
    **dict.fromkeys(["rotation_132_above_the_line", "rotation_031_beside_nothing"], "gyroscope in deg/s"),
    **dict.fromkeys(["rotation_072_beside_noise", "smooth_turn_too_small_to_move"], "gyroscope in deg/s"),
    **dict.fromkeys(["hardly_smooth_turn_at_100_hz", "hardly_smooth_turn_at_20_hz"], "gyroscope in deg/s"),
}  # fmt: skip
REFUSED = ["needed_almost", "spread_42"]


def test_poses_show_what_their_names_say() -> None:
    rows = golden.table(golden.FOLDER / "poses" / "poses.csv")
    assert {row["name"]: row["findings"] for row in rows if row["findings"] != "none"} == FOUND
    assert [row["name"] for row in rows] == [*golden_poses.NOISY, *golden_poses.LIMITS]
    suggested = {row["name"]: row["suggested_mount"] for row in rows}
    # T M; the other way round it would be 0 -1 0 0 0 -1 1 0 0.
    assert suggested["axis_under_a_mount"] == "0 0 1 1 0 0 0 1 0"


def test_mounts_show_what_their_names_say() -> None:
    folder = golden.FOLDER / "mount"
    said = {name: pairs(folder / name / "mount.txt") for name in golden_mounts.CASES}
    served = {
        name: "".join(row["served"] for row in golden.table(folder / name / "windows.csv"))
        for name in golden_mounts.CASES
    }
    assert [name for name in said if said[name]["rotation"] == "CalibrationError"] == REFUSED
    assert {name: served[name] for name in served if "0" in served[name]} == {
        "quality": "100",
        "bounce": "0110",
        "gravity": "0110",
        "sway": "01",
        "times": "111011",
        "times_after_one_that_did_not_serve": "101",
    }
    assert said["times"]["seconds"] == 17
    assert said["times_after_one_that_did_not_serve"]["seconds"] == 10
    assert said["bins_of_fifths_of_a_second"]["seconds"] < said["bins_of_fifths_of_a_second"]["needed_s"]
    assert said["bins_added_up"]["served"] > 240
    assert {name: said[name]["rotation"][0] < 0 for name in said if name.startswith(("lying", "upside"))} == {
        name: name.startswith("upside") for name in said if name.startswith(("lying", "upside"))
    }


def test_the_head_made_by_hand_is_like_no_fit() -> None:
    folder = golden.FOLDER / "heads"
    kept = Head.load(folder / "handmade.safetensors")
    assert (kept.temperature, kept.labels) == (2.5, golden_heads.LABELS)
    assert sorted(kept.labels) != sorted(kept.labels, key=lambda label: label.encode("utf-16-be"))
    assert (golden_heads.sums(kept) > 1, kept.mount is None) == (True, False)
    fitted = Head.load(folder / "default_c_from_handmade.safetensors")
    assert (fitted.mount, fitted.temperature) == (None, 1.0)
    assert set(fitted.labels) - set(kept.labels) == {"still"}
    assert all(golden_heads.sums(Head.load(folder / f"{name}.safetensors")) < 1e-6 for name in ("fitted", "default_c"))


def test_errors_show_both_sides_of_limits() -> None:
    rows = golden.table(golden.FOLDER / "errors" / "errors.csv")
    for kind in {row["kind"] for row in rows} - {"window"}:
        assert len({row["error"] for row in rows if row["kind"] == kind}) == 2, kind
    small = {row["what"].split(".")[0]: row["error"] for row in rows if row["what"].startswith("head_")}
    assert [name for name, error in small.items() if error == "none"] == ["head_spelled_otherwise"]
    assert list(small) == list(golden_heads.SMALL)


def test_bouts_show_every_outcome_but_full() -> None:
    lines = [line for name in golden_bouts.SCENARIOS for line in golden_bouts.read(golden.FOLDER / "bouts", name)]
    shown = {line[-1] for line in lines if line[0] == "window"}
    assert shown == {"taken", "outside", "held", "gaps", "saturated", "slow", "near"}
    for action in ("begin", "end", "undo", "remove", "rename"):
        assert {line[-1] for line in lines if line[0] == action} == {"none", "CalibrationError"}, action


def test_folds_show_what_their_names_say() -> None:
    folder = golden.FOLDER / "folds"
    rows = {row["name"]: golden.table(folder / f"{row['name']}.csv") for row in golden.table(folder / "folds.csv")}
    errors = {row["name"] for row in golden.table(folder / "folds.csv") if row["error"] != "none"}
    assert errors == {"too_short_to_cut", "without_times", "nothing_left_of_a_label"}
    tested = {name: {row["tested_in"] for row in rows[name]} for name in rows}
    assert tested["more_folds_than_groups"] == {"0", "1", "2", "3"}
    assert tested["as_many_stretches_as_go"] == {"0", "1"}
    assert all(
        row["tested_in"] not in row["left_out_of"].split(" ")
        for name in rows
        for row in rows[name]
        if name not in errors
    )
    assert {name for name in rows if any(row["left_out_of"] != "none" for row in rows[name])} == {
        "one_bout_of_either",
        "one_bout_in_no_order",
        "a_label_alone_among_others",
        "as_many_stretches_as_go",
    }
