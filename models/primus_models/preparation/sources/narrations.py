"""What narrators write, made into captions as the published code does it.

Ego-Exo4D: "C takes celery from the bunch of celery with his right hand." Ego4D: "#C C opens the door" (C: who wears the
camera; "#O man X waves": someone else). "#unsure" stands for a thing whose name the narrator did not know.
"""

from __future__ import annotations

import re

LONGEST = 128
"""Characters of a caption at most."""

_UNSURE = re.compile(r"#\s?unsure", re.IGNORECASE)
_WEARER = re.compile(r"(?:C(?=\s|$)\s*)+")
_TAGS = re.compile(r"(?:#[A-Za-z](?=\s|$)\s*)+")
_OTHER = re.compile(r"\s*#\s?[Oo](?=\s|$)")


def ego_exo4d(text: str) -> str | None:
    """Clean a description of Ego-Exo4D: without its "C" at the front, "#unsure" as "something", lower case, cut.

    Returns None where nothing is left.
    """
    return _caption(_without(_WEARER, _plain(text)))


def ego4d(text: str) -> str | None:
    """Clean a narration of Ego4D: the same, without its tags ("#C", "#O") at the front either."""
    return _caption(_without(_WEARER, _without(_TAGS, _plain(text))))


def is_of_another(text: str) -> bool:
    """Whether a narration of Ego4D is tagged as of someone else than the wearer."""
    return _OTHER.match(text) is not None


def _plain(text: str) -> str:
    """One line, with "something" for what the narrator was unsure of."""
    return " ".join(_UNSURE.sub("something", text).split())


def _without(front: re.Pattern[str], text: str) -> str:
    found = front.match(text)
    return text[found.end() :] if found else text


def _caption(text: str) -> str | None:
    return text.lower()[:LONGEST].strip() or None
