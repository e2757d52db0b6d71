"""campaigns.languages: a device gets its language, a wider one, else the default."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.languages import Contents, canonical, choose, name_of

CONTENTS = [
    {"language": language, "variant": variant, "text": f"{language or 'default'} {variant}"}
    for language in ("", "de", "de-AT", "zh-Hant")
    for variant in (0, 1)
]


@pytest.mark.parametrize(
    ("device", "language"),
    [
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de-AT"),
        ("de_at", "de-AT"),
        ("de-CH", "de"),
        ("de-AT-1996", "de-AT"),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh", "default"),
        ("fr", "default"),
        ("dent", "default"),
        ("", "default"),
        ("-", "default"),
    ],
)
def test_the_closest_content_is_chosen(device: str, language: str) -> None:
    assert choose(CONTENTS, device, 1)["text"] == f"{language} 1"


def test_a_variant_that_nobody_wrote_falls_back_to_the_first() -> None:
    assert choose(CONTENTS, "de", 7)["text"] == "de 0"


tags = st.from_regex(r"[a-zA-Z]{2,3}([-_][a-zA-Z]{4})?([-_][a-zA-Z]{2})?", fullmatch=True)


@given(tags)
def test_a_tag_is_kept_as_it_is_usually_written(tag: str) -> None:
    kept = canonical(tag)

    assert kept.lower() == tag.replace("_", "-").lower()
    assert canonical(kept) == kept
    assert name_of(kept)


@given(st.lists(tags.map(canonical), unique_by=str.lower, max_size=6), st.text(max_size=40))
def test_whatever_an_app_says_one_content_is_found(written: list[str], device: str) -> None:
    contents = Contents([{"language": each, "variant": 0} for each in ["", *written]])

    place = contents.place(device, 0)

    assert place == contents.place(device, 0)
    assert place == 0 or device.replace("_", "-").lower().startswith(written[place - 1].lower())


@given(st.lists(tags.map(canonical), unique_by=str.lower, min_size=1, max_size=6), st.data())
def test_a_device_with_a_content_of_its_own_gets_it(
    written: list[str], data: st.DataObject
) -> None:
    chosen = data.draw(st.sampled_from(written))
    contents = Contents([{"language": each, "variant": 0} for each in ["", *written]])

    assert contents.place(chosen.replace("-", "_"), 0) == 1 + written.index(chosen)


@pytest.mark.parametrize("wrong", ["", "d", "german", "de-", "de AT", "<b>", "de-ATT!"])
def test_what_cannot_be_a_tag_is_none(wrong: str) -> None:
    assert canonical(wrong) == ""


def test_languages_are_called_what_people_call_them() -> None:
    assert [name_of(tag) for tag in ("de", "pt-BR", "de-LU", "tlh")] == [
        "German",
        "Brazilian Portuguese",
        "German (LU)",
        "tlh",
    ]
