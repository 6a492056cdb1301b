"""coremltools, brought in quietly and only when it is used."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator

from primus_export.errors import MissingToolError


@contextlib.contextmanager
def coremltools_quietly() -> Iterator[None]:
    """Within it coremltools can be imported and called, and its notices and progress bars stay off the user's terminal.

    Off macOS it notes the missing Core ML framework, versions of libraries that it would convert from, and each pass;
    none of that matters here. An error is raised as always, with what was printed before it as a note.

    Raises:
        MissingToolError: coremltools is not installed.
    """
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            try:
                import coremltools  # noqa: F401
            except ImportError as error:
                raise MissingToolError(
                    f"the coreml format needs coremltools ({error}): pip install 'primus-imu[export]'"
                ) from error
            yield
    except Exception as error:
        said = [line for line in printed.getvalue().splitlines() if line.strip() and "passes/s" not in line]
        if said:
            error.add_note("\n".join(["coremltools printed:", *said]))
        raise
    finally:
        logger.setLevel(level)
