"""Every error that the SDK raises.

Each class inherits from `PrimusError` and from the builtin that a caller would expect, so both `except PrimusError` and
`except ValueError` do what they say. A message states what was wrong, what was expected, and what to do about it.
"""

from __future__ import annotations


class PrimusError(Exception):
    """Base of every error raised by PRIMUS."""


class BundleError(PrimusError, ValueError):
    """A bundle is truncated, altered, of a newer schema, or no bundle at all."""


class BundleNotFoundError(BundleError, FileNotFoundError):
    """There is nothing at the given bundle path, or a file that its manifest names is missing."""


class RuntimeUnavailableError(PrimusError, ImportError):
    """No installed runtime can run the bundle; the message names the extra that brings one."""


class RuntimeMismatchError(PrimusError, RuntimeError):
    """The runtime computed something else than the bundle's known answer: its results cannot be trusted."""


class WindowError(PrimusError, ValueError):
    """A window has the wrong shape or type, is not finite, or is in the wrong units."""


class StreamError(PrimusError, ValueError):
    """Samples pushed into a stream are malformed: shape, timestamps or units."""


class HeadError(PrimusError, ValueError):
    """A head cannot be read, or does not belong to this encoder."""


class CalibrationError(PrimusError, ValueError):
    """The labelled windows cannot be fitted: too few, one class only, or labels that do not match the windows."""


class RecordingError(PrimusError, ValueError):
    """A recording on disk cannot be read as what it was declared to be."""


class ClosedError(PrimusError, RuntimeError):
    """The recogniser or stream was closed before this call."""


class OutputError(PrimusError, OSError):
    """A file could not be written; whatever stood there before is untouched."""


class PrimusWarning(UserWarning):
    """Something works, but not as the SDK promises; the message says what to change."""
