"""What every picture needs: letters for any label, no formulas read into them, no warnings, and a file at the end."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from primus_sdk.commands._cli import need
from primus_sdk.commands._destinations import check_picture
from primus_sdk.commands._text import cut
from primus_sdk.files import write_atomically

INK, SOFT, PALE = "#1f2430", "#6b7280", "#e5e7eb"

_FONTS = ("DejaVu Sans", "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Arial Unicode MS", "Hiragino Sans",
          "PingFang SC", "Yu Gothic", "Microsoft YaHei", "Malgun Gothic", "Segoe UI Emoji", "Noto Emoji")  # fmt: skip
_LONGEST_NAME, _LONGEST_TITLE = 32, 100  # characters
_LEGEND = 150  # characters of a legend's row


@contextlib.contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator[Any]:
    """A figure of this many inches to draw on; written to `path` as a PNG at the end.

    A `$` in a text is a `$`. A letter that no font here has is an empty box.

    Raises:
        RuntimeUnavailableError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    matplotlib = need("matplotlib")
    matplotlib.use("Agg")
    there = set(need("matplotlib.font_manager").get_font_names())
    settings = {"text.parse_math": False, "font.family": [font for font in _FONTS if font in there] or ["sans-serif"]}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of letters that are missing, and of what has no room
        figure = need("matplotlib.figure").Figure(
            figsize=(width, height), dpi=120, facecolor="white", layout="constrained"
        )
        yield figure
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
    check_picture(path)  # it may have come meanwhile
    write_atomically(path, picture.getvalue())


def name(text: str) -> str:
    """A label, as it fits beside others."""
    return cut(text, _LONGEST_NAME)


def title(text: str) -> str:
    """A line over a picture."""
    return cut(text, _LONGEST_TITLE)


def palette(count: int) -> list[Any]:
    """So many colours, neighbours of which differ; they repeat after twenty."""
    colormap = need("matplotlib").colormaps["tab20" if count > 10 else "tab10"]
    # tab20 pairs each hue's dark and light: all the dark ones first, so that neighbours differ.
    order = [*range(0, 20, 2), *range(1, 20, 2)] if count > 10 else list(range(10))
    return [colormap(order[index % len(order)]) for index in range(count)]


def legend(figure: Any, colours: dict[str, Any]) -> None:
    """Say what each colour means, below all else."""
    patch = need("matplotlib.patches").Patch
    columns = max(1, min(8, _LEGEND // (max((len(name(label)) for label in colours), default=0) + 6)))
    handles = [patch(color=colour, label=name(label)) for label, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)


def confusion(figure: Any, axes: Any, share: Any, labels: tuple[str, ...]) -> None:
    """A matrix of shares (K, K), 0 to 1, shown in %: by true label down and by recognised label across."""
    image = axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for row, column in zip(*(share >= 0.005).nonzero(), strict=True):
        value = share[row, column]
        axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=8,
                  color="white" if value > 0.55 else INK)  # fmt: skip
    places, names = range(len(labels)), [name(label) for label in labels]
    axes.set_xticks(places, names, rotation=45, ha="right", fontsize=9, color=INK)
    axes.set_yticks(places, names, fontsize=9, color=INK)
    axes.set_xlabel("recognised as", color=INK)
    axes.set_ylabel("true", color=INK)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, format="%g %%")
    bar.outline.set_visible(False)
