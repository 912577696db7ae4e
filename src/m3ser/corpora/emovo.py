"""EMOVO: six Italian actors, fourteen sentences (five of them without meaning), seven emotions.

The file's name is its annotation::

    f1/gio-f1-b1.wav     emotion gio (gioia: joy), speaker f1, sentence b1
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.recordings import Clip, missing_clips, read_recordings

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="emovo",
    title="EMOVO (Italian emotional speech)",
    kind="speech",
    languages=("it",),
    licence="CC-BY-NC-SA-4.0",
    citation="G. Costantini, I. Iaderola, A. Paoloni, M. Todisco: EMOVO Corpus: an Italian Emotional Speech Database. "
    "LREC 2014.",
    labels={
        "disgust": "disgusted",
        "joy": "happy",
        "neutral": "neutral",
        "fear": "fearful",
        "anger": "angry",
        "surprise": "surprised",
        "sadness": "sad",
    },
    utterances=588,
    speakers=6,
    layout="f1/gio-f1-b1.wav",
    access="voice.fub.it/activities/corpora/emovo",
    counts=dict.fromkeys(("disgust", "joy", "neutral", "fear", "anger", "surprise", "sadness"), 84),
    notes=(
        "Sentences n1 to n5 are grammatical but without meaning.",
        "tri-f3-n1 and tri-f3-n2 are one recording, found by its fingerprint; one of the two says another sentence.",
    ),
)

_NAME = re.compile(r"([a-z]{3})-([fm]\d)-([a-z]\d)")

# disgusto, gioia, neutro, paura, rabbia, sorpresa, tristezza
_LABELS = {
    "dis": "disgust",
    "gio": "joy",
    "neu": "neutral",
    "pau": "fear",
    "rab": "anger",
    "sor": "surprise",
    "tri": "sadness",
}
_SPEAKERS = ("f1", "f2", "f3", "m1", "m2", "m3")
_SENTENCES = {
    "b1": "Gli operai si alzano presto.",
    "b2": "I vigili sono muniti di pistola.",
    "b3": "La cascata fa molto rumore.",
    "l1": "L'autunno prossimo Tony partirà per la Spagna nella prima metà di ottobre.",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata.",
    "l3": "Un attimo dopo s'è incamminato ... ed è inciampato.",
    "l4": "Vorrei il numero telefonico del Signor Piatti.",
    "n1": "La casa forte vuole col pane.",
    "n2": "La forza trova il passo e l'aglio rosso.",
    "n3": "Il gatto sta scorrendo nella pera.",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello.",
    "n5": "Uno quarantatré dieci mille cinquantasette venti.",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
}


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of EMOVO.

    Raises:
        DataError: no recording below `folder` is named like ``gio-f1-b1.wav``.
    """
    return read_recordings(folder, INFO, names=_NAME, describe=_describe, missing=_missing, progress=progress)


def _describe(name: re.Match[str]) -> Clip | str:
    emotion, speaker, sentence = name.groups()
    if emotion not in _LABELS or speaker not in _SPEAKERS or sentence not in _SENTENCES:
        return "name with an emotion, speaker or sentence that EMOVO does not have"
    return Clip(
        id=name.string,
        label=_LABELS[emotion],
        speaker=speaker,
        sentence=sentence,
        text=_SENTENCES[sentence],
        language="it",
        extra={"gender": "female" if speaker[0] == "f" else "male"},
    )


def _missing(present: Collection[str]) -> list[str]:
    expected = {
        speaker: {f"{emotion}-{speaker}-{sentence}" for emotion in _LABELS for sentence in _SENTENCES}
        for speaker in _SPEAKERS
    }
    return missing_clips(present, expected, speaker_of=lambda clip: clip.split("-")[1])
