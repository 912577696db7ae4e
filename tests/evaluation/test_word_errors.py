from __future__ import annotations

import pytest

from m3ser.errors import UsageError
from m3ser.evaluation import WordErrors, word_errors

pytest.importorskip("jiwer", reason="needs the train extra")


def test_errors_are_counted_over_all_utterances() -> None:
    said = ["Don't forget a jacket.", "The airplane is almost full", "Maybe tomorrow it will be cold."]
    understood = ["don't forget the jacket", "", "maybe tomorrow it will be very cold"]
    found = word_errors(said, understood)
    assert found == WordErrors(utterances=3, words=15, substitutions=1, deletions=5, insertions=1)
    assert found.rate == pytest.approx(7 / 15)
    assert found.to_dict()["word_error_rate"] == found.rate


def test_case_punctuation_and_spacing_do_not_count() -> None:
    assert word_errors(["It's  ELEVEN o'clock!"], ["its eleven oclock"]).rate == 0
    assert word_errors(["Öl, Straße."], ["öl straße"]).rate == 0


def test_more_may_be_understood_than_was_said() -> None:
    assert word_errors(["no"], ["oh no no"]).rate == 2
    assert word_errors(["", "no"], ["what", "no"]).insertions == 1


def test_nothing_to_compare() -> None:
    for said, understood in (([], []), (["..."], ["no"]), ([""], [""])):
        with pytest.raises(UsageError, match="needs words that were said"):
            word_errors(said, understood)
    with pytest.raises(UsageError, match="2 utterances need as many transcripts; found 1"):
        word_errors(["a", "b"], ["a"])
