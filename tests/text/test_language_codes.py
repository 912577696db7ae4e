from __future__ import annotations

import pytest

from m3ser.errors import UsageError
from m3ser.text.language_codes import known_language, language_code, language_name


@pytest.mark.parametrize(
    ("value", "code"),
    [
        *(("de", "de"), ("DE", "de"), (" de ", "de"), ("de-AT", "de"), ("de_AT", "de"), ("zh-Hans-CN", "zh")),
        *(("deu", "de"), ("ger", "de"), ("eng", "en"), ("fre", "fr"), ("fra", "fr"), ("yue", "yue"), ("gsw", "gsw")),
    ],
)
def test_a_code_is_that_of_its_language(value: str, code: str) -> None:
    assert language_code(value) == code


@pytest.mark.parametrize("value", ["german", "", "d", "xx", "e n", "en-", "-en", "mul", "und", "zxx", "de;fr"])
def test_what_is_no_language_is_one_sentence(value: str) -> None:
    with pytest.raises(UsageError, match=r"is no code of a language; expected one of ISO 639-1") as caught:
        language_code(value)
    assert str(caught.value).count("\n") == 0


def test_all_183_languages_of_iso_639_1_have_names() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    found = {}
    for code in (a + b for a in letters for b in letters):
        try:
            found[code] = language_name(language_code(code))
        except UsageError:
            continue
    assert len(found) == 183
    assert len(set(found.values())) == 183
    assert (found["de"], found["nb"], found["pt"]) == ("German", "Norwegian Bokmål", "Portuguese")
    assert language_name("gsw") == "gsw"


def test_the_table_is_that_of_another_package() -> None:
    # Of the interchange extra.
    iso639 = pytest.importorskip("iso639")
    for one in iso639.iter_langs():
        if one.pt1:
            assert language_code(one.pt3) == language_code(one.pt2b or one.pt3) == one.pt1


def test_what_others_call_a_language() -> None:
    assert [known_language(code) for code in ("de-AT", "English", "und", None)] == ["de", None, None, None]
