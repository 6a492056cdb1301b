"""`primus-prepare`: a published data set in, windows, captions and embeddings out; it goes on where it stopped."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from primus_models.commands._told import Told
from primus_models.preparation.mapping import Here, Mapper
from primus_models.preparation.on_ray import OnRay
from primus_models.preparation.preparing import PARTS, Summary, prepare
from primus_models.towers.base import Towers
from primus_models.towers.opening import KINDS, NamedTower
from primus_sdk.commands._cli import FloatRange, click, command, echo
from primus_sdk.commands._destinations import check_store

EXAMPLES = """\b
Examples:
  primus-prepare ego-exo4d /data/egoexo -o egoexo --text-tower minilm
  primus-prepare ego-exo4d /data/egoexo -o egoexo --text-tower clip:clip4clip --video-tower clip:clip4clip
  primus-prepare realworld realworld2016 -o realworld --body-position head --hop 2.5
  primus-prepare ego-exo4d /data/egoexo -o egoexo --ray 10.0.0.1:6379
"""
_HOPS = ("hop_s", "unnarrated_hop_s", "hop")
_POSITIONS = ("position", "body_position")
"""What data sets call the distance of windows, and the place of the sensor."""


def _set(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not (equals and name.isidentifier()):
            raise click.BadParameter(f"{value!r} is no NAME=VALUE")
        try:
            options[name] = json.loads(text)
        except ValueError:
            options[name] = text
    return options


@command(epilog=EXAMPLES)
@click.argument("data_set", metavar="DATASET")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where it is prepared.",
)
@click.option("--text-tower", "text_towers", multiple=True, metavar="TOWER", help=f"Embed captions with: {KINDS}.")
@click.option("--video-tower", "video_towers", multiple=True, metavar="TOWER", help="Embed videos: clip:...")
@click.option("--device", default="cpu", show_default=True, help="Where towers run, such as cuda.")
@click.option(
    "--hop",
    type=FloatRange(0, min_open=True),
    metavar="S",
    help="Seconds between windows; of narrated data, between those where nothing is said.",
)
@click.option("--body-position", metavar="NAME", help="Which of several sensors, such as head.")
@click.option(
    "--set", "settings", multiple=True, callback=_set, metavar="NAME=VALUE", help="Another option of the data set."
)
@click.option(
    "--ray", "address", metavar="ADDRESS", help="Work on a Ray cluster: auto, host:port, or local for all cores here."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def main(
    data_set: str, path: Path | None, output: Path, text_towers: tuple[str, ...], video_towers: tuple[str, ...],
    device: str, hop: float | None, body_position: str | None, settings: dict[str, Any], address: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Prepare the published DATASET at PATH for pretraining and evaluation.

    Stopped at any moment, the same command goes on; with another tower it adds that tower's embeddings. Takes that
    cannot be read are named, left out, and tried again by the same command.
    """
    check_store(output)
    sources = import_module("primus_models.preparation.sources")
    if hop is not None:
        settings[_named(sources, data_set, _HOPS)] = int(hop) if hop.is_integer() else hop
    if body_position is not None:
        settings[_named(sources, data_set, _POSITIONS)] = body_position
    opened = sources.open_data_set(data_set, None if path is None else path.expanduser().absolute(), **settings)
    towers = Towers(*(tuple(NamedTower(which, device) for which in some) for some in (text_towers, video_towers)))
    with _mapper(address) as mapper, Told(as_json) as report:
        summary = prepare(opened, output, towers, mapper, report, settings)
    echo(_json(summary) if as_json else _text(summary))


def _named(sources: Any, data_set: str, names: tuple[str, ...]) -> str:
    """What the data set calls an option; where it has none, it says so itself."""
    known = sources.options_of(data_set) if hasattr(sources, "options_of") else names
    return next((name for name in names if name in known), names[-1])


@contextlib.contextmanager
def _mapper(address: str | None) -> Iterator[Mapper]:
    if address is None:
        yield Here()
    else:
        with OnRay(address) as cluster:
            yield cluster


def _json(summary: Summary) -> str:
    return json.dumps({**asdict(summary), "folder": str(summary.folder)}, indent=2, sort_keys=True)


def _text(summary: Summary) -> str:
    lines = [f"left out: {name}: {why}" for name, why in summary.left_out.items()]
    takes = f"{summary.read} takes read"
    takes += f", {summary.known} read before" if summary.known else ""
    takes += f"; {len(summary.empty)} gave no window" if summary.empty else ""
    lines.append(takes)
    for name, counts in summary.towers.items():
        lines.append(f"tower {name}: {counts['captions']} captions, {counts['windows']} windows with video")
    lines.append(
        f"{summary.windows} windows of {summary.users} people, {summary.captions} captions, "
        f"{len(summary.labels)} labels, {len(summary.left_out)} left out: {summary.folder}"
    )
    if summary.failed:
        lines.append(
            f"{len(summary.failed)} takes could not be read: the same command tries them again "
            f"({summary.folder / PARTS} is kept for that; delete it to leave it at that)"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
