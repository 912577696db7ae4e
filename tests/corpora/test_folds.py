from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m3ser.corpora import PROTOCOLS, Corpus, Split, audit, make_split, supported_protocols
from m3ser.corpora.protocols import DRAFTERS, OPTIMISTIC
from m3ser.corpora.similarity import NEAR, words_of
from m3ser.errors import DataError, UsageError
from m3ser.schema import BASIC7, IEMOCAP4, Utterance

Voices = Callable[..., list[Utterance]]

EMOTIONS = ("angry", "happy", "sad", "neutral")
SETTINGS = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def iemocap(*, sessions: int = 5, turns: int = 8, improvised: str | None = "scene") -> list[Utterance]:
    """Like IEMOCAP: scripted scenes are said in every session, with a word changed; improvised ones never twice.

    `improvised`: "scene" names what is improvised as a script; None leaves it without.
    """
    chance = random.Random(7)
    vocabulary = [f"word{i}" for i in range(3000)]
    scenes = ("script01_1", "script01_2", "script02_1", "script02_2", "script03_1")
    lines = {scene: [[*chance.sample(vocabulary, 9)] for _ in range(2 * turns)] for scene in scenes}
    utterances = []
    for session in range(1, sessions + 1):
        for scene in (*scenes, "impro01", "impro02", "impro03", "impro04"):
            for turn in range(2 * turns):
                gender = "FM"[turn % 2]
                words = list(lines[scene][turn]) if scene in lines else chance.sample(vocabulary, 9)
                words[chance.randrange(9)] = chance.choice(vocabulary)
                name = f"Ses{session:02}F_{scene}_{gender}{turn:03}"
                utterances.append(
                    Utterance(
                        Path("nowhere", f"{name}.wav"),
                        EMOTIONS[(turn // 2 + len(scene)) % 4],
                        text=" ".join(words),
                        speaker=f"iemocap/Ses{session:02}{gender}",
                        session=f"iemocap/Ses{session:02}",
                        script=f"iemocap/{scene}" if scene in lines or improvised else None,
                        extra={
                            "corpus": "iemocap",
                            "id": name,
                            "gender": {"F": "female", "M": "male"}[gender],
                            "duration": "2.5",
                        },
                    )
                )
    return utterances


def parts_by_id(split: Split) -> dict[str, tuple[str | None, ...]]:
    return {
        utterance.extra["id"]: tuple(fold.parts[i] for fold in split.folds)
        for i, utterance in enumerate(split.utterances)
    }


def trials(split: Split) -> Counter[int]:
    return Counter(i for fold in split.folds for i, part in enumerate(fold.parts) if part == "test")


def in_part(split: Split, fold: int, part: str) -> list[Utterance]:
    return [utterance for utterance in split.fold(fold) if utterance.split == part]


def assert_honest(split: Split) -> None:
    """What every protocol but paper and official promises."""
    assert set(trials(split)) == set(range(len(split.utterances)))
    assert set(trials(split).values()) == {1}
    for number in range(len(split.folds)):
        assert audit(split.fold(number)).violations(split.protocol) == ()
        speakers = {part: {u.speaker for u in in_part(split, number, part)} for part in ("train", "validation", "test")}
        assert all(speakers.values())
        assert not speakers["validation"] & (speakers["train"] | speakers["test"])
        if split.protocol != "random":
            assert not speakers["train"] & speakers["test"]
        assert {u.emotion for u in in_part(split, number, "train")} == {u.emotion for u in split.utterances}


@SETTINGS
@given(st.integers(3, 30), st.integers(1, 3), st.integers(0, 99), st.floats(0.05, 0.9))
@pytest.mark.parametrize("protocol", ["random", "speaker"])
def test_everybody_is_tested_once_by_a_model_that_has_not_met_them(
    voices: Voices, protocol: str, speakers: int, sentences: int, seed: int, validation: float
) -> None:
    # Five random folds need five utterances of every class.
    utterances = voices(speakers=speakers, sentences=1 + sentences)
    assert_honest(make_split(utterances, protocol, seed=seed, validation=validation))


@pytest.mark.slow
@SETTINGS
@given(st.integers(3, 20), st.integers(3, 12), st.integers(0, 99))
def test_speakers_and_scripts_are_both_unseen(voices: Voices, speakers: int, sentences: int, seed: int) -> None:
    # The sentences of `voices` are alike but for their number: here only their scripts tell them apart.
    utterances = [replace(u, text=None) for u in voices(speakers=speakers, sentences=sentences)]
    split = make_split(utterances, "session+script", seed=seed)
    assert_honest(split)
    assert len(split.folds) == min(5, speakers) * min(5, sentences)
    for number in range(len(split.folds)):
        scripts = {part: {u.script for u in in_part(split, number, part)} for part in ("train", "validation", "test")}
        assert not scripts["test"] & (scripts["train"] | scripts["validation"])
        assert not scripts["train"] & scripts["validation"]


@pytest.mark.parametrize("protocol", ["random", "session", "speaker", "session+script"])
@pytest.mark.parametrize("improvised", ["scene", None])
def test_iemocap(protocol: str, improvised: str | None) -> None:
    utterances = iemocap(improvised=improvised)
    split = make_split(utterances, protocol, seed=1, scheme=IEMOCAP4)
    assert_honest(split)
    assert split.left_out == {}


def test_iemocap_by_session_selects_on_another_session() -> None:
    split = make_split(iemocap(), "session", seed=0)
    assert [fold.name for fold in split.folds] == [f"session iemocap/Ses0{i}" for i in range(1, 6)]
    selected = set()
    for number in range(5):
        (session,) = {u.session for u in in_part(split, number, "validation")}
        selected.add(session)
        assert {part: summary.speakers for part, summary in split.summary(number).items()} == {
            "train": 6,
            "validation": 2,
            "test": 2,
        }
    assert len(selected) > 1


def test_scenes_of_iemocap_are_crossed_with_its_sessions() -> None:
    split = make_split(iemocap(), "session+script", seed=0)
    assert len(split.folds) == 25
    assert split.folds[0].name == "session iemocap/Ses01, scripts 1 of 5"
    # Three of five sessions train on three of five groups of scenes; groups of one scene and of two.
    assert 200 < split.summary(0)["train"].utterances < 300


def test_where_only_some_words_recur_the_others_are_all_kept() -> None:
    utterances = iemocap(improvised=None)
    split = make_split(utterances, "session+script", seed=0)
    assert [fold.name for fold in split.folds] == [f"session iemocap/Ses0{i}" for i in range(1, 6)]
    assert split.notes[0] == "tested at a time: all scripts of a held-out session"
    for number in range(5):
        # What is scripted is tested in full, and so not trained on; of what is improvised nothing is lost.
        assert split.summary(number)["test"].utterances == len(utterances) / 5
        for part, sessions in (("train", 3), ("validation", 1)):
            inside = in_part(split, number, part)
            assert {u.script for u in inside} == {None}
            assert len(inside) == sessions * 4 * 16


def jaccard(a: Utterance, b: Utterance) -> float:
    one, other = set(words_of(a.text or "")), set(words_of(b.text or ""))
    return len(one & other) / len(one | other)


def test_transcripts_stand_in_for_scripts() -> None:
    utterances = [replace(u, script=None, session=None) for u in iemocap(turns=4)]
    split = make_split(utterances, "session+script", seed=0)
    assert_honest(split)
    for number in range(0, len(split.folds), 7):
        for mine in in_part(split, number, "test"):
            assert all(jaccard(mine, other) < NEAR for other in in_part(split, number, "train"))


def test_two_scripts_leave_none_to_select_on(voices: Voices) -> None:
    utterances = [replace(u, text=None) for u in voices(speakers=6, sentences=2)]
    split = make_split(utterances, "session+script", seed=0)
    assert len(split.folds) == 10
    assert any("training and validation share words or scripts in 10 of 10 folds" in note for note in split.notes)
    for number in range(10):
        (script,) = {u.script for u in in_part(split, number, "test")}
        assert script not in {u.script for u in split.fold(number) if u.split != "test"}


def test_paper_is_the_published_procedure() -> None:
    utterances = [
        replace(u, extra={**u.extra, "duration": "1.934" if i % 6 == 0 else "1.935"}) for i, u in enumerate(iemocap())
    ]
    split = make_split(utterances, "paper", seed=0)
    short = sum(i % 6 == 0 for i in range(len(utterances)))
    assert split.left_out == {"shorter than 1.935 s (two VGGish examples)": short}
    assert split.notes == (OPTIMISTIC,)
    (fold,) = split.folds
    counts = Counter(fold.parts)
    assert counts == {None: short, "train": (len(utterances) - short) * 4 // 5, "test": 120}
    assert not [part for i, part in enumerate(fold.parts) if i % 6 == 0 and part]
    assert {u.speaker for u in in_part(split, 0, "test")} == {u.speaker for u in in_part(split, 0, "train")}


def test_the_published_test_set_has_933_clips() -> None:
    utterances = (iemocap(turns=53) * 2)[:4661]
    split = make_split([replace(u, extra={**u.extra, "id": str(i)}) for i, u in enumerate(utterances)], "paper", seed=0)
    assert Counter(split.folds[0].parts) == {"train": 3728, "test": 933}


def test_official_is_what_the_corpus_says() -> None:
    parts = ("train", "train", "validation", "test", None)
    utterances = [replace(u, split=parts[i % 5]) for i, u in enumerate(iemocap())]
    split = make_split(utterances, "official", seed=0)
    assert split.folds[0].parts == tuple(u.split for u in utterances)
    assert split.left_out == {"in no part of the official split": len(utterances) // 5}
    unselected = [u for u in utterances if u.split != "validation"]
    assert "the official split has no validation part" in make_split(unselected, "official", seed=0).notes


@pytest.mark.parametrize("protocol", [name for name in DRAFTERS if name not in ("official", "corpus")])
def test_neither_order_nor_folder_nor_labels_beside_the_point_matter(protocol: str) -> None:
    utterances = iemocap(turns=4)
    expected = parts_by_id(make_split(utterances, protocol, seed=3))
    mixed = random.Random(0).sample(utterances, len(utterances))
    assert parts_by_id(make_split(mixed, protocol, seed=3)) == expected
    moved = [replace(u, audio=Path("elsewhere", "deep", u.audio.name), split="train") for u in mixed if u.audio]
    assert parts_by_id(make_split(moved, protocol, seed=3)) == expected
    assert parts_by_id(make_split(utterances, protocol, seed=4)) != expected


def test_the_draw_is_the_same_on_every_machine() -> None:
    split = make_split(iemocap(turns=4), "random", seed=0)
    ids = sorted(u.extra["id"] for u in in_part(split, 0, "test"))
    assert ids[:3] == ["Ses01F_impro01_F002", "Ses01F_impro01_M005", "Ses01F_impro02_F004"]


def test_folds_of_utterances_without_an_id_go_by_their_path(tmp_path: Path) -> None:
    def at(root: Path) -> list[Utterance]:
        return [replace(u, audio=root / f"{i % 7}" / f"{i}.wav", extra={}) for i, u in enumerate(iemocap(turns=2))]

    here, there = (make_split(at(root), "random", seed=0) for root in (tmp_path, Path("there")))
    assert [fold.parts for fold in here.folds] == [fold.parts for fold in there.folds]


def test_random_folds_are_alike(voices: Voices) -> None:
    split = make_split(voices(speakers=20, sentences=3), "random", seed=0)
    for number in range(5):
        counts = split.summary(number)["test"].classes
        assert max(counts.values()) - min(counts.values()) <= 1
        genders = Counter(u.extra["gender"] for u in in_part(split, number, "test"))
        assert abs(genders["female"] - genders["male"]) <= 4


def test_groups_of_speakers_are_alike(voices: Voices) -> None:
    few, many = voices("few", speakers=5), voices("many", speakers=20)
    split = make_split(few + many, "speaker", seed=0)
    assert len(split.folds) == 5
    for number in range(5):
        speakers = {u.speaker: (u.extra["corpus"], u.extra["gender"]) for u in in_part(split, number, "test")}
        counts = Counter(speakers.values())
        assert (counts["many", "female"], counts["many", "male"]) == (2, 2)
        selected = {u.extra["corpus"] for u in in_part(split, number, "validation")}
        assert selected == {"few", "many"}


def test_number_of_folds(voices: Voices) -> None:
    utterances = voices(speakers=12)
    assert len(make_split(utterances, "speaker", seed=0).folds) == 12
    assert len(make_split(utterances, "speaker", seed=0, folds=4).folds) == 4
    assert make_split(utterances, "speaker", seed=0, folds=4).folds[0].name.startswith("speaker acted/")
    assert len(make_split(utterances, "random", seed=0, folds=3).folds) == 3
    silent = [replace(u, text=None) for u in utterances]
    assert len(make_split(silent, "session+script", seed=0, folds=3).folds) == 3 * 2


def test_what_a_scheme_leaves_out_is_counted(voices: Voices) -> None:
    utterances = voices(emotions=("angry", "happy", "excited", "sad", "neutral", "bored"))
    split = make_split(utterances, "speaker", seed=0, scheme=IEMOCAP4)
    assert split.left_out == {"'bored' is not in iemocap4": 10}
    assert tuple(split.summary(0)["test"].classes.items()) == (("angry", 2), ("happy", 4), ("sad", 2), ("neutral", 2))
    assert len(split.fold(0)) == 50
    assert all(
        (part is None) == (u.emotion == "bored") for u, part in zip(utterances, split.folds[0].parts, strict=True)
    )


def test_copies_of_a_recording_are_kept_together(tmp_path: Path, voices: Voices) -> None:
    utterances = []
    for i, utterance in enumerate(voices(speakers=6)):
        path = tmp_path / f"{i}.wav"
        path.write_bytes(b"the same" if i in (0, 1) else f"{i:08}".encode())
        utterances.append(replace(utterance, audio=path))
    for seed in range(10):
        split = make_split(utterances, "random", seed=seed)
        for fold in split.folds:
            assert len({fold.parts[0], fold.parts[1]} - {None}) <= 1
        assert set(trials(split)) == set(range(len(utterances)))


def test_sentences_of_no_voice_are_kept_apart() -> None:
    chance = random.Random(0)
    words = [f"word{i}" for i in range(60)]
    texts = [" ".join(chance.sample(words, 6)) for _ in range(100)]
    utterances = [
        Utterance(None, EMOTIONS[i % 4], text=texts[chance.randrange(100)], extra={"corpus": "t", "id": str(i)})
        for i in range(200)
    ]
    split = make_split(utterances, "random", seed=0)
    assert "fewer than two speakers are known" in split.notes[0]
    for number in range(5):
        assert audit(split.fold(number)).violations("random") == ()
    assert len(trials(split)) == 200


def nobody(u: Utterance) -> dict[str, Any]:
    return {"speaker": None, "session": None}


@pytest.mark.parametrize(
    ("protocol", "change", "message"),
    [
        ("speaker", nobody, "needs speakers, and no utterance names one"),
        ("session", nobody, "needs sessions, and no utterance names one"),
        ("session+script", nobody, "needs speakers, and no utterance names one"),
        ("speaker", lambda u: {"speaker": "one"}, "needs 3 speakers or more, .* found 1"),
        ("session", lambda u: {"session": "ab"["FM".index(u.extra["id"][-4])]}, "needs 3 sessions or more, .* found 2"),
        ("session+script", lambda u: {"script": None, "text": None}, "needs scripts or transcripts"),
        ("session+script", lambda u: {"script": "one", "text": None}, "needs two scripts or more .* found 1"),
        ("official", lambda u: {}, "needs an official split, and no utterance has a part of one"),
        ("official", lambda u: {"split": "train"}, "with a test part, and this one has none"),
        ("official", lambda u: {"split": "train" if u.emotion == "sad" else "test"}, "class angry, happy, neutral in"),
        ("paper", lambda u: {"extra": {}}, "1?[0-9]+ cannot be measured"),
        ("paper", lambda u: {"audio": None}, "needs recordings, and there are utterances of words alone"),
        (
            "speaker",
            lambda u: {"emotion": "bored" if u.speaker == "iemocap/Ses01F" else u.emotion},
            "nothing of class bored to train on in fold 'speaker iemocap/Ses01F'",
        ),
    ],
)
def test_what_a_corpus_does_not_allow_is_refused(
    protocol: str, change: Callable[[Utterance], dict[str, Any]], message: str
) -> None:
    utterances = [replace(u, **change(u)) for u in iemocap(turns=4)]
    start = f"^Protocol '{protocol.replace('+', '.')}'"
    with pytest.raises(DataError, match=f"{start} .*{message}.* \\(would work: .*random"):
        make_split(utterances, protocol, seed=0)
    reasons = supported_protocols(utterances)
    assert reasons[protocol] is not None
    assert reasons["random"] is None


def test_reasons_are_told_for_every_protocol() -> None:
    reasons = supported_protocols(iemocap(turns=4))
    assert {name for name, reason in reasons.items() if reason is None} == set(PROTOCOLS) - {"official", "corpus"}
    assert reasons["official"] == "Protocol 'official' needs an official split, and no utterance has a part of one"


def test_a_class_too_rare_for_the_folds_is_refused(voices: Voices) -> None:
    utterances = voices(emotions=("angry", "sad")) + voices("rare", speakers=4, sentences=1, emotions=("bored",))
    with pytest.raises(DataError, match="needs 5 utterances of every class for 5 folds; 'bored' has 4"):
        make_split(utterances, "random", seed=0)


def test_nothing_at_all_is_refused() -> None:
    for protocol in DRAFTERS:
        with pytest.raises(DataError):
            make_split([], protocol, seed=0)


@pytest.mark.parametrize(
    ("protocol", "options", "message"),
    [
        ("loso", {}, "There is no protocol 'loso'; known are paper, random"),
        ("paper", {"folds": 5}, "'paper' is one fold by its nature"),
        ("random", {"folds": 1}, "The number of folds is 1; expected 2 or more"),
        ("speaker", {"validation": 1.0}, "share is 1; expected a number above 0 and below 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(voices: Voices, protocol: str, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_split(voices(), protocol, seed=0, **options)


def test_more_folds_than_speakers_are_refused(voices: Voices) -> None:
    with pytest.raises(DataError, match="cannot make 6 folds of 5 speakers"):
        make_split(voices(), "speaker", seed=0, folds=6)


def test_utterances_without_a_speaker_are_left_out_by_speaker(voices: Voices) -> None:
    utterances = [*voices(speakers=5), Utterance(Path("x.wav"), "sad")]
    split = make_split(utterances, "speaker", seed=0)
    assert split.left_out == {"names no speaker": 1}
    note = "validation is of other utterances, not of other speakers: some utterances name no speaker"
    assert note in make_split(utterances, "random", seed=0).notes


def test_progress_is_told(voices: Voices) -> None:
    told: list[tuple[int, int]] = []
    make_split(voices(), "speaker", seed=0, progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 5) for i in range(1, 6)]


@pytest.mark.parametrize("name", ["emodb", "ravdess", "emovo", "nemo"])
@pytest.mark.parametrize("scheme", [IEMOCAP4, BASIC7])
def test_real_corpora(real: Callable[[str], Corpus], name: str, scheme: Any) -> None:
    corpus = real(name)
    reasons = supported_protocols(corpus.utterances, scheme)
    assert [protocol for protocol, reason in reasons.items() if reason] == ["session", "corpus", "official"]
    for protocol in ("random", "speaker", "session+script"):
        split = make_split(corpus.utterances, protocol, seed=0, scheme=scheme)
        counts = trials(split)
        assert set(counts.values()) == {1}
        assert len(counts) == sum(scheme.class_of(u.emotion) is not None for u in corpus.utterances)
        for number in range(0, len(split.folds), 3):
            violations = audit(split.fold(number)).violations(protocol)
            if (name, protocol) == ("ravdess", "session+script"):  # two sentences
                violations = tuple(v for v in violations if "test" in v.parts)
            assert violations == ()


def test_text_corpora(real: Callable[[str], Corpus]) -> None:
    meld = real("meld")
    split = make_split(meld.utterances, "session+script", seed=0, scheme=IEMOCAP4)
    for number in range(len(split.folds)):
        assert audit(split.fold(number)).violations("session+script") == ()
    official = make_split(meld.utterances, "official", seed=0)
    assert Counter(official.folds[0].parts) == {"train": 9989, "validation": 1109, "test": 2610}
