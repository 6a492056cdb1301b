"""Text of a user's own (labels, names, paths) on its way to a terminal: shown as it is, and never obeyed."""

from __future__ import annotations

import re

# All control characters but the line's end, the marks that turn the direction of what follows, and lone surrogates:
# Python makes them of bytes in a file's name that are no text, and no encoding or font takes them.
_UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with control characters written out as numbers: a terminal would obey them. Lines stay lines.

    Lone surrogates are written out as well: no encoding takes them.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def cut(text: str, most: int) -> str:
    """The text on one line, in at most so many characters; what is longer ends in `…`."""
    line = visible(text).replace("\n", "\\n")
    return line if len(line) <= most else line[: most - 1] + "…"


def people(count: int) -> str:
    """So many people, in words."""
    return "1 person" if count == 1 else f"{count} people"
