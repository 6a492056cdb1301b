"""What all console commands share: one clear line and exit status 1 for whatever goes wrong, never a traceback."""

from __future__ import annotations

import functools
import importlib
import io
import math
import sys
from collections.abc import Callable
from typing import Any

from primus_sdk.commands._text import visible
from primus_sdk.errors import PrimusError, RuntimeUnavailableError

try:
    import click
except ImportError as missing:
    sys.stderr.write("Error: this command needs click; install it with: pip install 'primus-imu[cli]'\n")
    raise SystemExit(1) from missing

__all__ = ["FloatRange", "click", "command", "echo", "need"]


def command(**settings: Any) -> Callable[[Callable[..., None]], click.Command]:
    """Make a console command of a function, as `click.command` does.

    A PrimusError or OSError becomes one line on stderr and exit status 1. A reader that goes away (`| head`) and
    Ctrl-C end the command with status 1, quietly; wrong options are click's usage errors, status 2. What the output's
    encoding has no letters for is written as its number.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def guarded(*arguments: Any, **options: Any) -> None:
            _encodable()
            try:
                function(*arguments, **options)
            except BrokenPipeError:
                raise  # click ends quietly on it
            except (PrimusError, OSError) as error:
                raise click.ClickException(_line(error)) from error

        context = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
        decorator: Callable[[Callable[..., None]], click.Command]
        decorator = click.command(context_settings=context, **settings)
        return decorator(guarded)

    return decorate


class FloatRange(click.FloatRange):
    """A number within bounds; `nan`, which is beyond no bound, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def echo(text: object, *, err: bool = False) -> None:
    """Print a text, on stderr if `err`; its control characters are written out, for it may hold a user's labels."""
    click.echo(visible(str(text)), err=err)


def need(module: str) -> Any:
    """Import a module that comes with the extra `cli`.

    Raises:
        RuntimeUnavailableError: it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise RuntimeUnavailableError(f"{name} is not installed; pip install 'primus-imu[cli]' brings it") from error


def _encodable() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # none where it was closed
            stream.reconfigure(errors="backslashreplace")


def _line(error: Exception) -> str:
    return visible(_words(error))


def _words(error: Exception) -> str:
    if type(error).__module__ == "builtins" and isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
