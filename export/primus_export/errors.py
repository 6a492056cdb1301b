"""Errors of the export side; they share the SDK's base."""

from __future__ import annotations

from primus_sdk.errors import PrimusError


class ExportError(PrimusError, ValueError):
    """The export was asked for something that cannot be: an unknown format, or options that do not go together."""


class LoweringError(ExportError):
    """A step of the graph has no lowering in this format."""


class ParityError(PrimusError, ArithmeticError):
    """An exported file misses its bound against the reference; it was not written."""


class MissingToolError(PrimusError, ImportError):
    """A converter or runtime that this export needs is not installed; the message names the extra that brings it."""
