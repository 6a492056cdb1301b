from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from primus_models.preparation.sources import narrations

TEXTS = st.text(max_size=300) | st.lists(
    st.sampled_from(
        ["C", "#C", "#c", "#O", "O", "#unsure", "#Unsure", "# unsure", "man", "İ", "ß", "celery.", "\n", " "]
    )
).map(" ".join)


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("C takes celery from the bunch of celery with his right hand.",
         "takes celery from the bunch of celery with his right hand."),
        ("C picks #unsure from the Table", "picks something from the table"),
        ("  C  drops\tit ", "drops it"),
        ("Cuts the Carrot", "cuts the carrot"),
        ("The man in C shape", "the man in c shape"),
        ("C", None),
        ("", None),
        ("C " + "x" * 200, "x" * 128),
    ],
)  # fmt: skip
def test_descriptions_of_ego_exo4d(text: str, caption: str | None) -> None:
    assert narrations.ego_exo4d(text) == caption


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("#C C opens the Door", "opens the door"),
        ("#c C opens #Unsure", "opens something"),
        ("#C opens the door", "opens the door"),
        ("#O A man X waves", "a man x waves"),
        ("#unsure", "something"),
        ("#C C", None),
    ],
)
def test_narrations_of_ego4d(text: str, caption: str | None) -> None:
    assert narrations.ego4d(text) == caption


def test_of_whom_a_narration_is() -> None:
    assert narrations.is_of_another("#O A man X waves")
    assert narrations.is_of_another(" #o A man X waves")
    assert not narrations.is_of_another("#C C opens the door")
    assert not narrations.is_of_another("Opens the door")


@given(TEXTS)
def test_a_caption_is_short_lower_case_one_line_and_clean(text: str) -> None:
    for clean in (narrations.ego_exo4d, narrations.ego4d):
        caption = clean(text)
        if caption is None:
            continue
        assert 0 < len(caption) <= narrations.LONGEST
        assert caption == caption.strip() == " ".join(caption.split())
        assert caption == caption.lower()
        assert "#unsure" not in caption


@given(TEXTS)
def test_a_tag_at_the_front_changes_nothing(text: str) -> None:
    caption = narrations.ego_exo4d(text)
    assert narrations.ego_exo4d(f"C {text}") == caption
    if not text.split()[:1] or not text.split()[0].startswith("#"):
        assert narrations.ego4d(f"#C C {text}") == narrations.ego4d(f"#C {text}") == caption
