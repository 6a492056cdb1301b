"""rich, for text of a user's own: nothing in a label is markup, and nothing in it steers the terminal."""

from __future__ import annotations

from typing import Any

from primus_sdk.commands._cli import need
from primus_sdk.commands._text import visible


def console(**settings: Any) -> Any:
    """A rich console that reads no markup or emoji out of a text: `a[/bold]b` is a label like any other.

    Raises:
        RuntimeUnavailableError: rich is not installed.
    """
    return need("rich.console").Console(highlight=False, markup=False, emoji=False, **settings)


def styled(text: str, style: str = "", **settings: Any) -> Any:
    """A text for a rich console, its control characters written out."""
    return need("rich.text").Text(visible(text), style=style, **settings)
