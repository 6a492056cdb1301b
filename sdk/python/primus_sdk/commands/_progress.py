"""What a person sees of long work: a bar in a terminal, elsewhere a line on stderr for each phase that takes long."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

from primus_sdk.commands._cli import echo, need
from primus_sdk.commands._rich import console

_SOON_S = 2.0  # what is done sooner is not worth a line

_T = TypeVar("_T")


@contextlib.contextmanager
def phase(what: str, quiet: bool) -> Iterator[None]:
    """Say what is being done for as long as it takes; nothing if `quiet`."""
    if quiet:
        yield
    elif sys.stderr is not None and sys.stderr.isatty():
        with console(stderr=True).status(f"{what} ..."):
            yield
    else:
        timer = threading.Timer(_SOON_S, lambda: echo(f"{what} ...", err=True))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def tracked(items: Iterable[_T], what: str, quiet: bool) -> Iterator[_T]:
    """The items one by one, and how many are done; nothing but the items if `quiet`."""
    if not quiet and sys.stderr is not None and sys.stderr.isatty():
        track = need("rich.progress").track
        yield from track(items, what, console=console(stderr=True), transient=True)
        return
    with phase(what, quiet):
        yield from items
