"""What all console commands share: one clear line and exit status 1 for whatever goes wrong, never a traceback."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

from primus_sdk.errors import PrimusError, RuntimeUnavailableError

try:
    import click
except ImportError as missing:
    sys.stderr.write("Error: this command needs click; install it with: pip install 'primus-imu[cli]'\n")
    raise SystemExit(1) from missing

__all__ = ["click", "command", "need"]


def command(**settings: Any) -> Callable[[Callable[..., None]], click.Command]:
    """Make a console command of a function, as `click.command` does.

    A PrimusError or OSError becomes one line on stderr and exit status 1. A reader that goes away (`| head`) and
    Ctrl-C end the command with status 1, quietly; wrong options are click's usage errors, status 2.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def guarded(*arguments: Any, **options: Any) -> None:
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


def _line(error: Exception) -> str:
    if type(error).__module__ == "builtins" and isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
