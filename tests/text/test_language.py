from __future__ import annotations

import csv
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from m3ser.text.language import foreign_language

# Everyday sentences that nothing was chosen on.
FOREIGN = {
    "de": ["Mir geht es gut.", "Ich habe keine Zeit.", "Das kann doch nicht wahr sein."],
    "fr": ["Je ne sais pas.", "Laisse-moi tranquille !", "Il fait froid aujourd'hui.", "Pourquoi tu pleures ?"],
    "es": ["¿Qué te pasa?", "No me lo puedo creer.", "Muchas gracias."],
    "it": ["Lasciami in pace!", "Che bella giornata.", "Non ci posso credere.", "Andiamo a casa."],
    "pl": ["Daj mi spokój!", "Bardzo się cieszę.", "Nie mam czasu.", "To nie moja wina."],
    "pt": ["Não acredito nisso.", "O que aconteceu?", "Muito obrigado."],
    "nl": ["Ik weet het niet.", "Waar ben je geweest?"],
    "sv": ["Jag vet inte.", "Tack så mycket."],
    "tr": ["Çok mutluyum, çünkü geldin."],
    "fi": ["Olen todella väsynyt."],
}
OTHER_LETTERS = {
    "ru": "Да.",
    "el": "Όχι",
    "zh": "好。",
    "ja": "わかりません。",
    "ko": "네",
    "he": "לא",
    "hi": "मुझे नहीं पता।",
    "th": "ไม่",
}
MISSED = [
    "Lass mich in Ruhe!",
    "Estoy muy cansada.",
]  # English as short as they are would be taken, too
ENGLISH = [
    *("No!", "I'm fine.", "Oh.", "Ugh", "Hmm", "OK", "lol", "Stop it!", "Nope nope nope", "Who dis", "No! No! No! No!"),
    *(
        "No-no-no, no!",
        "Hey, Joey!",
        "Ross? Monica?",
        "Sarah Müller called",
        "Ciao!",
        "Hahahaha",
        "Noooooooooo",
        "I said no.",
    ),
    *(
        "",
        "   ",
        "!!!",
        "12345",
        "2,500.00",
        "🤣🤣🤣",
        "[laughter]",
        "https://example.org/ich/bin/nicht/da",
        "I don\u2019t know",
    ),
]


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in FOREIGN.items() for text in texts])
def test_everyday_sentences_are_foreign(code: str, text: str) -> None:
    found = foreign_language(text)
    assert found is not None
    if len(text) > 20:  # shorter ones are often taken for a neighbour: Swedish for Norwegian
        assert found == code


@pytest.mark.parametrize(("code", "text"), OTHER_LETTERS.items())
def test_other_letters_are_foreign_however_few(code: str, text: str) -> None:
    found = foreign_language(text)
    assert found is not None
    if len(text) > 3:
        assert found == code


@pytest.mark.parametrize("text", [*ENGLISH, *MISSED])
def test_short_english_is_not(text: str) -> None:
    assert foreign_language(text) is None


def test_a_foreign_word_in_english_does_not_make_it_foreign() -> None:
    assert foreign_language("She said Weltschmerz, and I don't know what that is") is None
    assert foreign_language("He wrote да and left") is None


def test_length_does_not_matter() -> None:
    assert foreign_language("Ich weiß nicht, was soll es bedeuten, dass ich so traurig bin. " * 2000) == "de"
    assert foreign_language("It rained on Tuesday and the shops were shut. " * 2000) is None
    assert foreign_language("\ud800 \x00 Das ist mir wirklich egal") == "de"


def test_threads_share_it() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(foreign_language, ["Das ist mir egal.", "Stop it!"] * 40))
    assert found == ["de", None] * 40


def test_plain_english_loads_no_model() -> None:
    code = (
        "import sys; from m3ser.text.language import foreign_language as f; f(\"I don't know.\"); f('No!'); "
        "print('py3langid' in sys.modules); f('Das ist mir egal.'); print('py3langid' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]


def test_all_sentences_of_the_corpora_are_foreign(shared_data: Path) -> None:
    for corpus, code, count in (("emodb", "de", 10), ("emovo", "it", 14), ("nemo", "pl", 90)):
        with (shared_data / "speech" / corpus / "manifest.csv").open(encoding="utf-8") as file:
            sentences = sorted({row["text"] for row in csv.DictReader(file)})
        assert len(sentences) == count
        found = [foreign_language(sentence) for sentence in sentences]
        assert None not in found
        assert found.count(code) >= 0.9 * count


def test_hardly_any_english_is(shared_data: Path) -> None:
    goemotions = (shared_data / "text" / "goemotions" / "test.tsv").read_text(encoding="utf-8").splitlines()
    with (shared_data / "text" / "meld" / "test_sent_emo.csv").open(encoding="utf-8", errors="replace") as file:
        meld = [row["Utterance"] for row in csv.DictReader(file)]
    for texts in ([line.partition("\t")[0] for line in goemotions], meld):
        assert sum(foreign_language(text) is not None for text in texts) < 0.005 * len(texts)
