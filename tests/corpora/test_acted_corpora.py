"""TESS, SAVEE, URDU and JL-Corpus: complete copies in every layout that people have, and their blemishes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

import pytest

from m3ser.corpora import READERS, Corpus, savee, tess, urdu

Tree = Callable[[Iterable[str]], Path]
Fill = Callable[[Iterable[str]], Path]


@pytest.fixture
def fill(tmp_path: Path, write_wav: Callable[..., Path]) -> Fill:
    """Make a folder of many recordings that all sound the same."""
    sound = write_wav(tmp_path / "sound.wav", seconds=0.01).read_bytes()

    def make(paths: Iterable[str]) -> Path:
        root = tmp_path / "copy"
        for path in map(root.joinpath, paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sound)
        return root

    return make


def assert_complete(corpus: Corpus) -> None:
    info = corpus.info
    assert corpus.findings == ()
    assert len(corpus.utterances) + sum(corpus.left_out.values()) == info.utterances
    assert len({utterance.speaker for utterance in corpus.utterances}) == info.speakers
    counts = Counter(utterance.extra["label"] for utterance in corpus.utterances)
    assert counts == {label: info.counts[label] for label, emotion in info.labels.items() if emotion is not None}
    assert all(u.language in info.languages for u in corpus.utterances)


TESS_FOLDERS = {
    "OAF": ("OAF_angry", "OAF_disgust", "OAF_Fear", "OAF_happy", "OAF_neutral", "OAF_Pleasant_surprise", "OAF_Sad"),
    "YAF": ("YAF_angry", "YAF_disgust", "YAF_fear", "YAF_happy", "YAF_neutral", "YAF_pleasant_surprised", "YAF_sad"),
}
TESS_EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
# Two hundred things that look like words.
WORDS = ["".join(letters) for letters in product("bdfgklmnpr", "aeiou", "bdkt")]


def tess_paths() -> list[str]:
    return [
        f"{folder}/{speaker}_{word}_{emotion}.wav"
        for speaker, folders in TESS_FOLDERS.items()
        for folder, emotion in zip(folders, TESS_EMOTIONS, strict=True)
        for word in WORDS
    ]


def test_tess(fill: Fill) -> None:
    paths = ["TESS Toronto emotional speech set data/" + path for path in tess_paths()]
    # One recording is misnamed in the published corpus.
    paths[paths.index(f"{Path(paths[0]).parent.parent}/OAF_neutral/OAF_bad_neutral.wav")] = (
        "TESS Toronto emotional speech set data/OAF_neutral/OA_bad_neutral.wav"
    )
    assert_complete(tess.read(fill(paths)))


def test_tess_in_one_folder_and_unpacked_twice(fill: Fill) -> None:
    flat = [Path(path).name for path in tess_paths()[:14]]
    root = fill([*flat, *(f"TESS/TESS/{name}" for name in flat)])
    corpus = tess.read(root)
    assert [u.audio for u in corpus.utterances] == [root / name for name in sorted(flat)]
    assert any(finding.startswith("There more than once, one of each is used (14)") for finding in corpus.findings)


def test_what_tess_says(tree: Tree) -> None:
    (utterance,) = tess.read(tree(["OAF_neutral/OA_bite_neutral.wav"])).utterances
    assert (utterance.emotion, utterance.text, utterance.script) == ("neutral", "Say the word bite.", "tess/bite")
    assert (utterance.speaker, utterance.extra["age"], utterance.extra["gender"]) == ("tess/OAF", "64", "female")
    assert utterance.extra["id"] == "OAF_bite_neutral"
    (pleasant,) = tess.read(tree(["YAF_pleasant_surprised/YAF_back_ps.flac"])).utterances[1:]
    assert (pleasant.emotion, pleasant.extra["label"]) == ("surprised", "ps")


SAVEE = [
    (speaker, f"{code}{number:02}")
    for speaker in ("DC", "JE", "JK", "KL")
    for code in ("a", "d", "f", "h", "n", "sa", "su")
    for number in range(1, 31 if code == "n" else 16)
]


@pytest.mark.parametrize("layout", ["AudioData/{}/{}.wav", "ALL/{}_{}.wav", "{}{}.wav"])
def test_savee(fill: Fill, layout: str) -> None:
    corpus = savee.read(fill(layout.format(*clip) for clip in SAVEE))
    assert_complete(corpus)
    assert [u.extra["id"] for u in corpus.utterances] == sorted(f"{s}_{c}" for s, c in SAVEE)
    first = corpus.utterances[0]
    assert (first.speaker, first.script, first.text) == ("savee/DC", "savee/a01", None)


def test_savee_faults(tree: Tree) -> None:
    root = tree(["AudioData/DC/a01.wav", "AudioData/JE/a01.wav", "AudioData/DC/a16.wav", "AudioData/XX/a01.wav"])
    (root / "AudioData" / "DC" / "._a02.wav").write_bytes(b"\0\5\x16\7")
    (root / "AudioData" / "Info.txt").write_text("Speakers")
    corpus = savee.read(root)
    assert [u.extra["id"] for u in corpus.utterances] == ["DC_a01", "JE_a01"]
    assert dict(corpus.left_out) == {"name with a sentence that SAVEE does not have": 1}
    assert any(f.endswith("ignored (1): AudioData/XX/a01.wav.") for f in corpus.findings)
    assert "Nothing is there of 2 of the 4 speakers (JK, KL): 240 recordings." in corpus.findings


# Emotion -> speaker -> recordings, as published.
URDU = {
    "Angry": {"M1": 22, "M2": 28, "M3": 2, "M4": 48},
    "Happy": {
        "F1": 12,
        "F2": 2,
        "F3": 2,
        "F4": 4,
        "F5": 4,
        "F6": 14,
        "F7": 6,
        "F8": 2,
        "M17": 2,
        "M18": 2,
        "M19": 2,
        "M3": 2,
        "M5": 8,
        "M6": 10,
        "M7": 28,
    },
    "Neutral": {"F9": 4, "M20": 10, "M21": 4, "M22": 2, "M3": 8, "M5": 72},
    "Sad": {"F10": 2, "F11": 4, "M23": 6, "M24": 38, "M25": 40, "M26": 2, "M27": 4, "M6": 4},
}


def urdu_paths() -> list[str]:
    paths = []
    for label, speakers in URDU.items():
        files = [(speaker, number) for speaker, count in speakers.items() for number in range(1, count + 1)]
        paths += [f"{label}/S{s}_F{n}_{label[0]}0{i}.wav" for i, (s, n) in enumerate(files, start=1)]
    return paths


def test_urdu(fill: Fill) -> None:
    paths = urdu_paths()
    assert {"Angry/SM1_F1_A01.wav", "Angry/SM4_F48_A0100.wav", "Happy/SF1_F10_H010.wav"} <= set(paths)
    corpus = urdu.read(fill(paths))
    assert_complete(corpus)
    assert Counter(u.extra["gender"] for u in corpus.utterances) == {"male": 344, "female": 56}
    assert all(u.text is None and u.script is None for u in corpus.utterances)


def test_urdu_faults(tree: Tree) -> None:
    corpus = urdu.read(tree(["Angry/SM1_F1_A01.wav", "Angry/SM9_F1_A02.wav", "Angry/holiday.wav"]))
    assert [u.speaker for u in corpus.utterances] == ["urdu/M1"]
    assert dict(corpus.left_out) == {"name with a speaker that URDU does not have": 1}
    assert "Missing recordings: 21 of speaker M1's 22." in corpus.findings


JL_FOLDER = "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)"
JL = [
    f"{speaker}_{label}_{number}{take}"
    for speaker, label, number, take in product(
        ("female1", "female2", "male1", "male2"),
        READERS["jl-corpus"].INFO.labels,
        range(1, 16),
        ("a_1", "a_2", "b_1", "b_2"),
    )
]


def test_jl_corpus(fill: Fill) -> None:
    root = fill(f"{JL_FOLDER}/{name}.wav" for name in JL)
    for name in JL:
        (root / JL_FOLDER / f"{name}.txt").write_bytes(b"Tom beats that farmer.\r\n")
    corpus = READERS["jl-corpus"].read(root)
    assert_complete(corpus)
    assert sum(corpus.left_out.values()) == 1200
    assert {u.text for u in corpus.utterances} == {"Tom beats that farmer."}
    assert Counter(u.script for u in corpus.utterances) == {f"jl-corpus/{n}": 80 for n in range(1, 16)}


def test_jl_corpus_faults(tree: Tree) -> None:
    root = tree([f"{name}.wav" for name in ("male1_angry_10a_1", "male1_excited_1b_2", "male1_anxious_1a_1")])
    (root / "male1_angry_10a_1.txt").write_bytes("Carl leaps into a café.".encode("latin-1"))
    (root / "male1_excited_1b_2.txt").write_text(" \n")
    tree(["male1_sad_16a_1.wav", "male1_furious_1a_1.wav"])
    corpus = READERS["jl-corpus"].read(root)
    assert [(u.emotion, u.text) for u in corpus.utterances] == [("angry", "Carl leaps into a café."), ("excited", None)]
    assert [u.extra["repetition"] for u in corpus.utterances] == ["a_1", "b_2"]
    assert dict(corpus.left_out) == {
        "label 'anxious'": 1,
        "name with an emotion or sentence that JL-Corpus does not have": 2,
    }
    assert "Recordings without a text file of their words beside them: 1." in corpus.findings
