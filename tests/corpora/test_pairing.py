from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3ser.corpora import (
    PLAIN,
    RELATIONS,
    SPLITS,
    Corpus,
    PairedCorpus,
    audit,
    disjoint_sentences,
    pair,
    plain_sentences,
    read_manifest,
    split_by_speaker,
    write_manifest,
)
from m3ser.corpora.drawing import apportion
from m3ser.corpora.similarity import words_of
from m3ser.errors import DataError, UsageError
from m3ser.schema import IEMOCAP4, EmotionScheme, Utterance

SHARES = {"agree": 0.4, "neutral": 0.3, "conflict": 0.3}


def make_sentences(
    *, each: int = 12, emotions: Sequence[str] = ("angry", "happy", "sad", "neutral")
) -> list[Utterance]:
    """Sentences of which no two are alike: `each` for every part and emotion."""
    made = []
    for part in SPLITS:
        for emotion in emotions:
            for number in range(each):
                extra = {"corpus": "written", "id": f"{part}-{emotion}-{number}"}
                text = " ".join(f"{part}{emotion}{number}{letter}" for letter in "abcd")
                made.append(Utterance(None, emotion, text=text, language="en", split=part, extra=extra))
    return made


def check(paired: PairedCorpus, voices: Sequence[Utterance], shares: dict[str, float], per_clip: int) -> None:
    """Everything that pairing promises."""
    clips = Counter((u.split, u.emotion) for u in voices if IEMOCAP4.class_of(u.emotion))
    pairs = Counter((u.split, u.emotion, u.extra["relation"]) for u in paired.utterances)
    for (part, emotion), number in clips.items():
        agree, neutral, conflict = (shares[relation] for relation in RELATIONS)
        if emotion == "neutral":
            agree, neutral = agree + neutral, 0.0
        expected = apportion(number * per_clip, (agree, neutral, conflict))
        assert [pairs[part, emotion, relation] for relation in RELATIONS] == expected

    texts: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    per_recording: defaultdict[Path, list[str]] = defaultdict(list)
    used: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for u in paired.utterances:
        assert u.audio is not None
        assert u.text is not None
        assert u.split is not None
        relation, text_emotion = u.extra["relation"], u.extra["text_emotion"]
        voice = IEMOCAP4.class_of(u.emotion)
        assert relation == (
            "agree" if text_emotion == voice else "neutral" if text_emotion == "neutral" else "conflict"
        )
        texts[u.split].add(words_of(u.text))
        per_recording[u.audio].append(u.text)
        used[u.split, text_emotion][u.text] += 1
    assert not texts["train"] & texts["validation"]
    assert not (texts["train"] | texts["validation"]) & texts["test"]
    for sentences in per_recording.values():
        assert len(sentences) == len(set(sentences)) == per_clip
    for counts in used.values():
        assert max(counts.values()) - min(counts.values()) <= 1
    assert audit(paired.utterances).violations("speaker") == ()


@settings(deadline=None, max_examples=30)
@given(
    st.integers(3, 9),
    st.integers(1, 3),
    st.integers(1, 4),
    st.lists(st.integers(0, 10), min_size=3, max_size=3).filter(any),
    st.integers(0, 10_000),
)
def test_pairing_keeps_its_promises(voices, speakers, clips_each, per_clip, weights, seed) -> None:
    shares = {relation: weight / sum(weights) for relation, weight in zip(RELATIONS, weights, strict=True)}
    clips = split_by_speaker(
        voices("one", speakers=speakers, sentences=clips_each) + voices("two", speakers=3, sentences=1), seed=seed
    )
    sentences = make_sentences(each=5)
    paired = pair(clips, sentences, scheme=IEMOCAP4, shares=shares, per_clip=per_clip, seed=seed)
    assert len(paired.utterances) == len(clips) * per_clip
    check(paired, clips, shares, per_clip)


def paired_example(voices, *, seed: int = 1, **options: object) -> PairedCorpus:
    clips = split_by_speaker(voices(speakers=6, sentences=3), seed=0)
    return pair(clips, make_sentences(), scheme=IEMOCAP4, shares=SHARES, seed=seed, **options)  # type: ignore[arg-type]


def test_what_a_pair_says_of_itself(voices) -> None:
    paired = paired_example(voices, per_clip=2)
    assert paired.comment == (
        "paired (semi-synthetic): voices of acted with sentences of written, which their speakers never said; "
        "scheme iemocap4; agree 0.4, neutral 0.3, conflict 0.3 (under a neutral voice, neutral words agree); "
        "sentences per recording 2; seed 1"
    )
    first = paired.utterances[0]
    assert first.script is None
    assert first.extra["spoken"].startswith("This is the sentence of number")
    assert first.extra["text_corpus"] == "written"
    assert first.extra["text_language"] == "en"
    assert first.extra["text_id"].startswith(f"{first.split}-{first.extra['text_emotion']}-")
    assert first.extra["gender"] in ("female", "male")


def test_the_same_seed_pairs_the_same_whatever_order_and_folder(voices) -> None:
    clips = split_by_speaker(voices(speakers=6, sentences=3), seed=0)
    moved = [replace(u, audio=Path("elsewhere", u.audio.name)) for u in clips if u.audio]
    sentences = make_sentences()
    shuffle = random.Random(0).sample
    one = pair(clips, sentences, scheme=IEMOCAP4, shares=SHARES, seed=5)
    two = pair(shuffle(moved, len(moved)), shuffle(sentences, len(sentences)), scheme=IEMOCAP4, shares=SHARES, seed=5)
    assert [(u.extra["id"], u.text) for u in one.utterances] == [(u.extra["id"], u.text) for u in two.utterances]
    other = pair(clips, sentences, scheme=IEMOCAP4, shares=SHARES, seed=6)
    assert [u.text for u in one.utterances] != [u.text for u in other.utterances]


def test_relations_are_spread_over_corpora_and_speakers(voices) -> None:
    clips = split_by_speaker(voices("a", speakers=6, sentences=20) + voices("b", speakers=6, sentences=20), seed=0)
    paired = pair(clips, make_sentences(each=40), scheme=IEMOCAP4, shares=SHARES, seed=0)
    counts = Counter((u.speaker, u.extra["relation"]) for u in paired.utterances if u.emotion == "angry")
    for speaker in {u.speaker for u in clips}:
        for relation in RELATIONS:
            assert abs(counts[speaker, relation] - 20 * SHARES[relation]) <= 2


def test_conflicting_words_come_from_every_other_emotion(voices) -> None:
    paired = paired_example(voices)
    counts = Counter(
        (u.emotion, u.extra["text_emotion"]) for u in paired.utterances if u.extra["relation"] == "conflict"
    )
    for voice in IEMOCAP4.classes:
        others = [counts[voice, label] for label in ("angry", "happy", "sad") if label != voice]
        assert min(others) > 0
        assert max(others) - min(others) <= len(SPLITS)  # one for each part
        assert counts[voice, "neutral"] == counts[voice, voice] == 0


def test_merged_and_left_out_emotions(voices) -> None:
    clips = [replace(u, split="train") for u in voices(speakers=1, emotions=("excited", "fearful"))]
    sentences = [*make_sentences(), Utterance(None, "fearful", text="I am so very afraid of it", split="train")]
    shares = {"agree": 1.0, "neutral": 0.0, "conflict": 0.0}
    paired = pair(clips, sentences, scheme=IEMOCAP4, shares=shares, seed=0)
    assert {(u.emotion, u.extra["text_emotion"]) for u in paired.utterances} == {("excited", "happy")}


def test_a_written_manifest_reads_back_with_its_header(voices, tmp_path: Path) -> None:
    paired = paired_example(voices)
    for form in ("csv", "jsonl"):
        path = write_manifest(tmp_path / f"paired.{form}", paired.utterances, comment=paired.comment)
        assert "paired (semi-synthetic)" in path.read_text(encoding="utf-8").splitlines()[0]
        manifest = read_manifest(path, check_audio=False)
        assert manifest.comment == paired.comment
        assert [(u.text, u.split, dict(u.extra)) for u in manifest.utterances] == [
            (u.text, u.split, dict(u.extra)) for u in paired.utterances
        ]


def sentence(text: str, split: str, emotion: str = "sad") -> Utterance:
    return Utterance(None, emotion, text=text, split=split)


def test_recurring_sentences_stay_in_one_part_only() -> None:
    sentences = [
        sentence("Thank you.", "train"),
        sentence("thank you", "test"),
        sentence("I have never been so sad", "train"),
        sentence("I have never been so very sad", "validation"),
        sentence("Stay with me.", "train"),
        sentence("STAY with me!", "train"),
        sentence("Fine then.", "validation", "angry"),
        sentence("Fine, then", "validation", "neutral"),
        sentence("\N{PENSIVE FACE}", "train"),
    ]
    kept, dropped = disjoint_sentences(sentences)
    assert [u.text for u in kept] == ["thank you", "I have never been so very sad", "STAY with me!"]
    assert dropped == {"train": 4, "validation": 2, "test": 0}


def test_bad_options_are_refused(voices) -> None:
    clips = split_by_speaker(voices(), seed=0)

    def attempt(scheme: EmotionScheme = IEMOCAP4, per_clip: int = 1, **shares: float) -> None:
        pair(clips, make_sentences(), scheme=scheme, shares=shares, per_clip=per_clip, seed=0)

    with pytest.raises(UsageError, match=r"agree, neutral, conflict \(and plain\), none below 0, that sum to 1"):
        attempt(agree=0.5, conflict=0.5)
    with pytest.raises(UsageError, match="that sum to 1"):
        attempt(agree=0.5, neutral=0.5, conflict=0.5)
    with pytest.raises(UsageError, match="with 0 sentences; expected 1 or more"):
        attempt(agree=0.5, neutral=0.5, conflict=0.0, per_clip=0)
    with pytest.raises(UsageError, match="'two' has no neutral class"):
        attempt(EmotionScheme("two", ("angry", "sad")), agree=0.5, neutral=0.5, conflict=0.0)
    with pytest.raises(UsageError, match="'two' has no two emotions"):
        attempt(EmotionScheme("two", ("angry", "neutral")), agree=0.5, neutral=0.0, conflict=0.5)


def test_bad_data_is_refused(voices) -> None:
    clips = list(split_by_speaker(voices(), seed=0))

    def attempt(
        clips: Sequence[Utterance] = clips, sentences: Sequence[Utterance] = make_sentences(), n: int = 1
    ) -> None:
        pair(clips, sentences, scheme=IEMOCAP4, shares=SHARES, per_clip=n, seed=0)

    with pytest.raises(DataError, match="is of part 'None'; expected audio, and a part"):
        attempt(voices())
    with pytest.raises(DataError, match="is of part 'None'; expected text, and a part"):
        attempt(sentences=[replace(u, split=None) for u in make_sentences()])
    with pytest.raises(DataError, match=r"part has 2 sentences of class '.*'; expected 3 or more"):
        attempt(sentences=make_sentences(each=2), n=3)
    moved = replace(clips[0], split="test" if clips[0].split != "test" else "train")
    with pytest.raises(DataError, match=r"Speaker 'acted/0' is in .* and .*; expected one"):
        attempt([*clips[1:], moved])


@pytest.mark.slow
def test_real_corpora_paired(real: Callable[[str], Corpus], tmp_path: Path) -> None:
    voices = split_by_speaker(
        (u for name in ("emodb", "ravdess", "emovo", "nemo") for u in real(name).utterances), seed=0
    )
    paired = pair(voices, real("goemotions").utterances, scheme=IEMOCAP4, shares=SHARES, per_clip=2, seed=0)
    assert Counter(u.split for u in paired.utterances) == {"train": 4916, "validation": 1958, "test": 1972}
    check(paired, voices, SHARES, 2)
    result = audit(paired.utterances)
    assert result.notes == ()
    # Every corpus has speakers in each part. Otherwise the two identical clips of RAVDESS, which are in the same part.
    assert Counter((overlap.kind, overlap.parts) for overlap in result.overlaps) == {
        ("corpus", ("test", "train", "validation")): 4,
        ("audio", ("test",)): 1,
    }
    assert dict(paired.dropped) == {"train": 295, "validation": 19, "test": 5}
    path = write_manifest(tmp_path / "paired.csv", paired.utterances, comment=paired.comment)
    assert len(read_manifest(path).utterances) == len(paired.utterances)


WITH_PLAIN = {"agree": 0.4, "neutral": 0.2, "conflict": 0.2, "plain": 0.2}


def plain_voices() -> list[Utterance]:
    """Ten recordings of each class, one speaker a part."""
    return [
        Utterance(Path(f"{part}-{emotion}-{i}.wav"), emotion, speaker=part, split=part, extra={"corpus": "made"})
        for part in ("train", "test")
        for emotion in IEMOCAP4.classes
        for i in range(10)
    ]


def test_plain_words_come_under_every_voice_alike() -> None:
    pairs = pair(
        plain_voices(), [*make_sentences(), *plain_sentences()], scheme=IEMOCAP4, shares=WITH_PLAIN, per_clip=2, seed=0
    ).utterances
    plain = [one for one in pairs if one.extra["relation"] == PLAIN]
    assert Counter((one.split, one.emotion) for one in plain) == {
        (part, emotion): 4 for part in ("train", "test") for emotion in IEMOCAP4.classes
    }
    assert {one.extra["text_corpus"] for one in plain} == {"plain"}
    assert {one.extra["text_emotion"] for one in plain} == {"neutral"}
    assert "plain" not in {one.extra["text_corpus"] for one in pairs if one.extra["relation"] != PLAIN}


def test_without_plain_sentences_there_are_no_such_pairs() -> None:
    with pytest.raises(DataError, match="0 sentences of class 'plain'"):
        pair(plain_voices(), make_sentences(), scheme=IEMOCAP4, shares=WITH_PLAIN, seed=0)
