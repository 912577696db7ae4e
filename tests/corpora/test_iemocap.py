"""IEMOCAP's reader on made-up copies in the published layout, and on copies as people really have them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from m3ser.corpora import READERS, audit
from m3ser.corpora.similarity import near_duplicates, words_of
from m3ser.errors import DataError
from m3ser.schema import IEMOCAP4, Utterance

Make = Callable[..., Any]
IEMOCAP = READERS["iemocap"]


def by_id(folder: Path) -> dict[str, Utterance]:
    return {utterance.extra["id"]: utterance for utterance in IEMOCAP.read(folder).utterances}


def finding(folder: Path, beginning: str) -> str:
    (found,) = (finding for finding in IEMOCAP.read(folder).findings if finding.startswith(beginning))
    return found


def test_a_turn_as_published(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    session = tmp_path / "IEMOCAP_full_release" / "Session1"
    audio = session / "sentences" / "wav" / "Ses01F_impro01" / "Ses01F_impro01_M000.wav"
    write_wav(audio)
    for folder, text in (
        (
            "EmoEvaluation",
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
            "[7.5712 - 10.4750]\tSes01F_impro01_M000\tfru\t[2.6667, 2.0000, 3.5000]\n"
            "C-E2:\tFrustration;\t()\nC-E3:\tFrustration; Anger;\t(annoyed)\nC-E4:\tNeutral;\t(frustration?)\n"
            "C-M1:\tHappiness;\t()\n"
            "A-E3:\tval 3; act 2; dom  2;\t()\nA-M1:\tval 5; act 5; dom  5;\t()\n\n",
        ),
        ("transcriptions", "Ses01F_impro01_M000 [007.5712-010.4750]: Do you have your forms?\n"),
    ):
        (session / "dialog" / folder).mkdir(parents=True)
        (session / "dialog" / folder / "Ses01F_impro01.txt").write_text(text)
    corpus = IEMOCAP.read(tmp_path)
    assert corpus.utterances == (
        Utterance(
            audio=audio,
            emotion="frustrated",
            text="Do you have your forms?",
            speaker="iemocap/Ses01M",
            session="iemocap/Ses01",
            script="iemocap/impro01",
            language="en",
            valence=2.6667,
            arousal=2.0,
            dominance=3.5,
            extra={
                "corpus": "iemocap",
                "id": "Ses01F_impro01_M000",
                "label": "fru",
                "gender": "male",
                "dialogue": "Ses01F_impro01",
                "kind": "improvised",
                "agreement": "0.667",
                "duration": "0.050",
            },
        ),
    )
    assert corpus.findings == (
        "Nothing is there of 4 of the 5 sessions (Ses02, Ses03, Ses04 and 1 more): 8,220 annotated turns.",
        "Missing annotated turns: 1818 of session Ses01's 1819.",
    )


def test_everything_that_a_copy_holds(iemocap_tree: Make) -> None:
    tree = iemocap_tree(sessions=2, markers="FM", labels=tuple(IEMOCAP.INFO.labels))
    corpus = IEMOCAP.read(tree.root.parent)
    labelled = {turn.id: turn for turn in tree.turns if turn.label != "xxx"}
    assert [utterance.extra["id"] for utterance in corpus.utterances] == sorted(labelled)
    for utterance in corpus.utterances:
        turn = labelled[utterance.extra["id"]]
        assert utterance.audio == turn.path
        assert utterance.text == turn.text
        assert utterance.emotion == IEMOCAP.INFO.labels[turn.label]
        assert (utterance.speaker, utterance.session) == (f"iemocap/{turn.speaker}", f"iemocap/{turn.session}")
        assert float(utterance.extra["duration"]) == pytest.approx(turn.end - turn.start, abs=0.001)
        agreement = "1.000" if turn.id.endswith("000") else "0.667"
        assert utterance.extra["agreement"] == agreement
    assert len({utterance.speaker for utterance in corpus.utterances}) == 4
    disagreements = len(tree.turns) - len(labelled)
    assert dict(corpus.left_out) == {"no label that the annotators agree on (xxx)": disagreements}
    assert all("session" in finding for finding in corpus.findings)


def test_scripts_recur_across_sessions_and_their_parts_are_one(iemocap_tree: Make) -> None:
    tree = iemocap_tree(
        sessions=2, scripts=("script01_1", "script01_1b"), improvisations=("impro05a", "impro08"), turns=1
    )
    found = {
        (u.script, u.session, u.extra["kind"]) for u in IEMOCAP.read(tree.root).utterances if u.extra["label"] != "xxx"
    }
    assert {script for script, _, kind in found if kind == "scripted"} == {"iemocap/script01_1"}
    assert {script for script, _, kind in found if kind == "improvised"} <= {"iemocap/impro05", "iemocap/impro08"}
    assert {session for script, session, _ in found if script == "iemocap/script01_1"} == {
        "iemocap/Ses01",
        "iemocap/Ses02",
    }


def test_published_counts_agree_with_each_other() -> None:
    info = IEMOCAP.INFO
    assert sum(info.counts.values()) == info.utterances
    assert info.class_counts(IEMOCAP4) == {"angry": 1103, "happy": 1636, "sad": 1084, "neutral": 1708}
    assert sum(info.class_counts(IEMOCAP4).values()) == 5531


@pytest.mark.parametrize("layout", [{"flat": True}, {"extension": "flac"}, {"faults": ("crlf",)}])
def test_how_a_copy_is_arranged_does_not_matter(iemocap_tree: Make, layout: dict[str, Any]) -> None:
    plain = by_id(iemocap_tree(turns=2).root)
    other = by_id(iemocap_tree(turns=2, **layout).root)
    assert list(plain) == list(other)
    for turn, utterance in plain.items():
        assert other[turn].text == utterance.text
        assert other[turn].extra == utterance.extra
        assert other[turn].valence == utterance.valence


def test_single_sessions_and_any_folder_above(iemocap_tree: Make) -> None:
    tree = iemocap_tree(sessions=3, turns=2)
    everything = by_id(tree.root.parent)
    assert list(everything) == list(by_id(tree.root))
    second = by_id(tree.root / "Session2")
    assert list(second) == [turn for turn in everything if turn.startswith("Ses02")]


def test_faults_are_reported_and_the_rest_is_used(iemocap_tree: Make) -> None:
    faults = ("missing wav", "missing label", "missing transcript", "duplicate id", "empty wav", "strays")
    tree = iemocap_tree(faults=faults, labels=("ang", "sad"))
    silent, unlabelled, wordless, twice, empty = (turn.id for turn in tree.turns[:5])
    corpus = IEMOCAP.read(tree.root)
    ids = {utterance.extra["id"] for utterance in corpus.utterances}
    assert ids == {turn.id for turn in tree.turns} - {silent, unlabelled, empty}
    place = tree.turns[4].path.relative_to(tree.root).as_posix()
    about_counts = re.compile("Nothing is there of|Missing annotated turns")
    assert set(filter(lambda finding: not about_counts.match(finding), corpus.findings)) == {
        f"Annotated, but the recording is not there, left out (1): {silent}.",
        f"Recordings without annotation, left out (1): {unlabelled}.",
        f"Transcribed, but not annotated, left out (1): {unlabelled}.",
        f"Annotated, but not transcribed (1): {wordless}.",
        f"Annotated more than once, the first is used (1): {twice}.",
        f"Empty, left out (1): {place}.",
        f"Not named as in {IEMOCAP.INFO.title}, ignored (1): holiday.wav.",
    }
    read = {utterance.extra["id"]: utterance for utterance in corpus.utterances}
    assert read[wordless].text is None
    assert read[twice].extra["label"] == tree.turns[3].label
    assert read[twice].extra["agreement"] == "0.667"


def test_accents_in_latin_1(iemocap_tree: Make) -> None:
    tree = iemocap_tree(faults=("latin-1",), labels=("neu",))
    texts = [utterance.text or "" for utterance in IEMOCAP.read(tree.root).utterances]
    assert [text for text in texts if text.endswith("caf\u00e9.")]
    assert len([text for text in texts if "\ufffd" in text]) == 0


def test_annotation_that_cannot_be_made_out_is_reported_by_line(iemocap_tree: Make) -> None:
    tree = iemocap_tree(sessions=1, labels=("neu",))
    table = tree.root / "Session1" / "dialog" / "EmoEvaluation" / f"{tree.turns[0].dialogue}.txt"
    lines = table.read_text().split("\n")
    lines[2] = lines[2].replace("\tneu\t", "\tglad\t")
    lines.append("[1.0 - 2.0] and then it breaks off")
    table.write_text("\n".join(lines))
    place = table.relative_to(tree.root).as_posix()
    assert finding(tree.root, "Annotation that") == (
        f"Annotation that cannot be made out, ignored (2): {place}:3, {place}:{len(lines)}."
    )
    assert tree.turns[0].id not in by_id(tree.root)


def test_transcribed_twice(iemocap_tree: Make) -> None:
    tree = iemocap_tree(sessions=1, labels=("neu",))
    turn = tree.turns[0]
    table = tree.root / "Session1" / "dialog" / "transcriptions" / f"{turn.dialogue}.txt"
    table.write_text(f"{table.read_text()}{turn.id} [001.0000-002.0000]: Something else.\n")
    assert finding(tree.root, "Transcribed more than once").endswith(f"(1): {turn.id}.")
    assert by_id(tree.root)[turn.id].text == turn.text


def test_noises_and_whole_dialogues_are_no_strays(iemocap_tree: Make, write_wav: Callable[..., Path]) -> None:
    tree = iemocap_tree(sessions=1)
    dialogue = tree.turns[0].dialogue
    write_wav(tree.root / "Session1" / "dialog" / "wav" / f"{dialogue}.wav")
    write_wav(tree.turns[0].path.with_name(f"{dialogue}_FXX0.wav"))
    assert all("session" in finding for finding in IEMOCAP.read(tree.root).findings)


def test_recordings_without_tables_are_refused(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    write_wav(tmp_path / "Ses01F_impro01_F000.wav")
    with pytest.raises(
        DataError, match=r"looked for annotated turns in files like 'EmoEvaluation/Ses01F_impro01\.txt'"
    ):
        IEMOCAP.read(tmp_path)


def test_tables_without_recordings_are_refused(iemocap_tree: Make) -> None:
    tree = iemocap_tree(sessions=1)
    for turn in tree.turns:
        turn.path.unlink()
    with pytest.raises(DataError, match=r"looked for recordings named like .*Ses01F_impro01_F000\.wav', found 0"):
        IEMOCAP.read(tree.root)


def test_progress_is_told(iemocap_tree: Make) -> None:
    told: list[tuple[int, int]] = []
    corpus = IEMOCAP.read(iemocap_tree(sessions=1).root, progress=lambda done, of: told.append((done, of)))
    count = len(corpus.utterances)
    assert told == [(done, count) for done in range(1, count + 1)]


def test_the_made_up_copy_leaks_as_the_real_one_does(iemocap_tree: Make) -> None:
    utterances = IEMOCAP.read(iemocap_tree(sessions=3, turns=6).root).utterances
    for scripted in (True, False):
        chosen = [u for u in utterances if (u.extra["kind"] == "scripted") == scripted]
        texts = [words_of(u.text or "") for u in chosen]
        pairs = list(near_duplicates(texts, [u.session for u in chosen]))
        assert bool(pairs) == scripted
        if scripted:
            assert any(similarity < 1 for *_, similarity in pairs)
            assert all(chosen[a].emotion == chosen[b].emotion for a, b, _ in pairs)
    parts = {"iemocap/Ses01": "test", "iemocap/Ses02": "validation", "iemocap/Ses03": "train"}
    result = audit([replace(u, split=parts[u.session or ""]) for u in utterances])
    assert result.violations("session") == ()
    assert {violation.kind for violation in result.violations("session+script")} == {"script", "transcript"}


def test_the_made_up_copy_is_the_same_every_time(iemocap_tree: Make) -> None:
    first, second, other = (iemocap_tree(turns=1, seed=seed) for seed in (1, 1, 2))
    files = [sorted(path for path in tree.root.rglob("*.*") if path.is_file()) for tree in (first, second)]
    for a, b in zip(*files, strict=True):
        assert a.relative_to(first.root) == b.relative_to(second.root)
        assert a.read_bytes() == b.read_bytes()
    assert [turn.text for turn in first.turns] != [turn.text for turn in other.turns]


def test_the_made_up_voices_sound_like_somebody(iemocap_tree: Make) -> None:
    tree = iemocap_tree(turns=4, seconds=(1.0, 2.0), labels=("ang", "sad"))
    levels: dict[str, list[float]] = {"ang": [], "sad": []}
    for turn in tree.turns:
        sound, rate = soundfile.read(turn.path)
        assert rate == 16_000
        assert 1.0 <= len(sound) / rate <= 2.0
        assert np.abs(sound).max() < 1
        levels[turn.label].append(float(np.sqrt(np.mean(sound**2))))
    assert min(levels["ang"]) > max(levels["sad"]) > 0.005
    assert Counter(turn.session for turn in tree.turns) == {"Ses01": 32, "Ses02": 32}
