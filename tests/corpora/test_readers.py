"""The readers on small copies as people really have them: renested, incomplete, damaged, or something else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from m3ser.corpora import READERS, get_reader
from m3ser.corpora.recordings import Clip, read_recordings
from m3ser.errors import DataError, UsageError

Tree = Callable[[Iterable[str]], Path]

ONE_OF_EACH = {
    "emodb": "wav/03a01Fa.wav",
    "ravdess": "Actor_12/03-01-06-02-02-01-12.wav",
    "emovo": "f1/gio-f1-b1.wav",
    "crema-d": "AudioWAV/1001_IEO_ANG_HI.wav",
    "nemo": "samples/WR0_surprised_64.wav",
    "esd": "0011/Angry/train/0011_000401.wav",
    "jl-corpus": "JL(wav+txt)/male1_angry_10a_1.wav",
    "savee": "AudioData/DC/sa01.wav",
    "tess": "OAF_angry/OAF_back_angry.wav",
    "urdu": "Angry/SM1_F1_A01.wav",
}
EMOVO = [
    f"EMOVO/{speaker}/{emotion}-{speaker}-{sentence}.wav"
    for emotion, speaker, sentence in product(
        ("dis", "gio", "neu", "pau", "rab", "sor", "tri"),
        ("f1", "f2", "f3", "m1", "m2", "m3"),
        ("b1", "b2", "b3", "l1", "l2", "l3", "l4", "n1", "n2", "n3", "n4", "n5", "d1", "d2"),
    )
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("emodb", ("happy", "emodb/03", "emodb/a01", "Der Lappen liegt auf dem Eisschrank.", "de", "male")),
        ("ravdess", ("fearful", "ravdess/12", "ravdess/02", "Dogs are sitting by the door.", "en", "female")),
        ("emovo", ("happy", "emovo/f1", "emovo/b1", "Gli operai si alzano presto.", "it", "female")),
        ("crema-d", ("angry", "crema-d/1001", "crema-d/IEO", "It's eleven o'clock.", "en", None)),
        ("nemo", ("surprised", "nemo/WR0", "nemo/64", None, "pl", "male")),
    ],
)
def test_what_a_name_says(tree: Tree, name: str, expected: tuple[str | None, ...]) -> None:
    root = tree([ONE_OF_EACH[name]])
    (utterance,) = READERS[name].read(root).utterances
    gender = utterance.extra.get("gender")
    found = (utterance.emotion, utterance.speaker, utterance.script, utterance.text, utterance.language, gender)
    assert found == expected
    assert utterance.audio == root / ONE_OF_EACH[name]
    assert utterance.extra["duration"] == "0.050"
    assert utterance.session is None
    assert utterance.split is None


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_nesting_extension_and_stray_files_do_not_matter(tree: Tree, name: str) -> None:
    path = Path(ONE_OF_EACH[name])
    root = tree([f"unpacked/again/{path.with_suffix('.WAV')}"])
    stray = root / "unpacked" / "again" / path.parent / f"._{path.name}"
    stray.write_bytes(b"\0\5\x16\7")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / path.name).write_bytes(b"\0\5\x16\7")
    (root / "readme.txt").write_text("not audio")
    corpus = READERS[name].read(root)
    assert len(corpus.utterances) == 1
    assert not any("Not named" in finding or "more than once" in finding for finding in corpus.findings)


@pytest.mark.parametrize("name", READERS)
def test_another_folder_is_refused(tmp_path: Path, write_wav: Callable[..., Path], name: str) -> None:
    write_wav(tmp_path / "holiday.wav")
    (tmp_path / "train.txt").write_text("nothing")
    with pytest.raises(DataError, match="not a copy of") as error:
        READERS[name].read(tmp_path)
    assert READERS[name].INFO.title in str(error.value)
    if READERS[name].INFO.kind == "speech":
        assert "holiday.wav" in str(error.value)
        assert READERS[name].INFO.layout in str(error.value)


@pytest.mark.parametrize("name", READERS)
def test_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="is not there"):
        READERS[name].read(tmp_path / "gone")
    file = tmp_path / "file.wav"
    file.write_bytes(b"")
    with pytest.raises(DataError, match="is a file"):
        READERS[name].read(file)


def test_a_complete_copy_has_no_findings(tree: Tree) -> None:
    corpus = READERS["emovo"].read(tree(EMOVO))
    assert len(corpus.utterances) == 588
    assert corpus.findings == ()
    assert dict(corpus.left_out) == {}


def test_missing_speakers_and_recordings_are_named(tree: Tree) -> None:
    incomplete = [path for path in EMOVO if "/m3/" not in path and "gio-f2-b1" not in path]
    corpus = READERS["emovo"].read(tree(incomplete))
    assert corpus.findings == (
        "Nothing is there of 1 of the 6 speakers (m3): 98 recordings.",
        "Missing recordings: 1 of speaker f2's 98 (such as gio-f2-b1).",
    )


def test_damaged_recordings_are_reported_and_left_out(tree: Tree) -> None:
    root = tree(["wav/03a01Fa.wav"])
    (root / "wav" / "03a01Nc.wav").write_bytes(b"")
    (root / "wav" / "03a01Wa.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 41002\n")
    (root / "wav" / "03a02Fc.wav").write_bytes(b"RIFF\0\0\0\0 not a wave file at all")
    (root / "wav" / "holiday.wav").write_bytes(b"")
    corpus = READERS["emodb"].read(root)
    assert [utterance.extra["id"] for utterance in corpus.utterances] == ["03a01Fa"]
    report = "\n".join(corpus.findings)
    assert "Empty, left out (1): wav/03a01Nc.wav." in report
    assert "Git LFS pointers in place of audio (run: git lfs pull), left out (1): wav/03a01Wa.wav." in report
    assert "Not readable as audio, left out (1): wav/03a02Fc.wav." in report
    assert "Not named as in EmoDB (Berlin Database of Emotional Speech), ignored (1): wav/holiday.wav." in report
    assert "Missing recordings: 45 of speaker 03's 49." in report  # four of 49 are there, if not all of them sound


def test_an_archive_unpacked_twice_is_read_once(tree: Tree) -> None:
    name = "Actor_12/03-01-06-02-02-01-12.wav"
    root = tree([name, f"audio_speech_actors_01-24/{name}"])
    corpus = READERS["ravdess"].read(root)
    assert [utterance.audio for utterance in corpus.utterances] == [root / name]
    assert f"There more than once, one of each is used (1): audio_speech_actors_01-24/{name}." in corpus.findings


def test_the_least_processed_format_is_preferred(tree: Tree) -> None:
    root = tree(["AudioMP3/1001_IEO_ANG_HI.mp3", "deep/down/AudioWAV/1001_IEO_ANG_HI.wav"])
    (utterance,) = READERS["crema-d"].read(root).utterances
    assert utterance.audio == root / "deep/down/AudioWAV/1001_IEO_ANG_HI.wav"


def test_ravdess_leaves_out_song_and_video_and_impossible_codes(tree: Tree) -> None:
    root = tree(
        [
            "Actor_12/03-01-06-02-02-01-12.wav",
            "Actor_12/03-02-06-02-02-01-12.wav",  # song
            "Actor_12/01-01-06-02-02-01-12.mp4",  # video
            "Actor_12/03-01-09-02-02-01-12.wav",  # a ninth emotion
            "Actor_12/03-01-01-02-02-01-12.wav",  # strongly neutral
        ]
    )
    corpus = READERS["ravdess"].read(root)
    assert len(corpus.utterances) == 1
    assert dict(corpus.left_out) == {
        "song, not speech": 1,
        "video, not audio only": 1,
        "name with a code that RAVDESS does not have": 2,
    }


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("emodb", "wav/03a01Xa.wav"),
        ("emodb", "wav/04a01Fa.wav"),
        ("emovo", "f1/xyz-f1-b1.wav"),
        ("crema-d", "AudioWAV/1092_IEO_ANG_HI.wav"),
        ("nemo", "samples/WR0_surprised_91.wav"),
    ],
)
def test_impossible_codes_are_left_out(tree: Tree, name: str, path: str) -> None:
    corpus = READERS[name].read(tree([ONE_OF_EACH[name], path]))
    assert len(corpus.utterances) == 1
    (reason,) = corpus.left_out
    assert "does not have" in reason


def test_crema_d_knows_its_own_blemishes(tree: Tree) -> None:
    corpus = READERS["crema-d"].read(tree(["1040_ITH_SAD_X.wav", "1076_MTI_SAD_XX.wav"]))
    assert [utterance.extra["id"] for utterance in corpus.utterances] == ["1040_ITH_SAD_XX"]
    assert dict(corpus.left_out) == {"published without sound": 1}
    assert not any("1040_ITH_SAD_XX" in finding for finding in corpus.findings)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_nemo_takes_its_words_from_the_published_table(tree: Tree, line_end: str) -> None:
    root = tree(["samples/WR0_surprised_64.wav", "samples/EB0_anger_38.wav", "samples/EB0_anger_1.wav"])
    rows = [
        "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage",
        "WR0_surprised_64.wav\tsurprised\tUcho wykrywa dźwięki.\tucho wykrywa dźwięki\t        WR0\tmale\t23",
        # The published table has quotation marks, but does not quote.
        'KD0_anger_38.wav\tanger\t"Ród smoka" to serial.\tród smoka to serial\t        KD0\tfemale\t28',
    ]
    (root / "data.tsv").write_bytes((line_end.join(rows) + line_end).encode())
    corpus = READERS["nemo"].read(root)
    assert {utterance.extra["id"]: utterance.text for utterance in corpus.utterances} == {
        "WR0_surprised_64": "Ucho wykrywa dźwięki.",
        "EB0_anger_38": '"Ród smoka" to serial.',  # the sentence is known by its number, from another speaker's row
        "EB0_anger_1": None,
    }
    assert "Recordings without their words, which no table (data.tsv) has: 1." in corpus.findings


GOEMOTIONS = "\n".join(
    [
        "I've never been this sad in my life!\t25\tid1",
        "Oh no, not again.\t2,3\tid2",  # anger, annoyance: both angry
        "So happy and thrilled!\t17,13\tid3",  # joy, excitement
        "Thrilled!\t13\tid4",
        "Funny but it hurts.\t1,25\tid5",  # amusement, sadness
        "Thank you.\t15\tid6",
        "Thank you, I am so happy.\t15,17\tid7",
        "Two\u2028lines?\t27\tid8",
        "Nothing more here",
        "Unknown label\t28\tid9",
        "",
    ]
)


def test_goemotions_keeps_comments_of_one_emotion(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.tsv").write_text(GOEMOTIONS, encoding="utf-8", newline="\n")
    (tmp_path / "data" / "dev.tsv").write_text("Fine.\t27\tid10\r\n", encoding="utf-8", newline="")
    corpus = READERS["goemotions"].read(tmp_path)
    assert {utterance.extra["id"]: utterance.emotion for utterance in corpus.utterances} == {
        "id1": "sad",
        "id2": "angry",
        "id3": "happy",
        "id4": "excited",
        "id8": "neutral",
        "id10": "neutral",
    }
    assert corpus.utterances[-1].split == "validation"
    assert corpus.utterances[1].extra["label"] == "anger,annoyance"
    assert dict(corpus.left_out) == {"labels of several emotions": 1, "labels that are none of m3ser's emotions": 2}
    assert corpus.findings == (
        "train.tsv has lines that are not text, label numbers and id: 9, 10.",
        "train.tsv has 8 of 43,410 rows.",
        "dev.tsv has 1 of 5,426 rows.",
        "test.tsv is missing: 5,427 rows.",
    )


def test_goemotions_with_another_list_of_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("Fine.\t0\tid1\n")
    (tmp_path / "emotions.txt").write_text("neutral\njoy\n")
    with pytest.raises(DataError, match=r"lists 2 labels \(neutral, joy\), not the 28"):
        READERS["goemotions"].read(tmp_path)


MELD = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\r\n"
    '1,"Oh my God, he\u2019s lost it.",Phoebe,sadness,negative,0,0,4,7,"00:20:57,256","00:21:00,049"\r\n'
    '2,What?,Monica,surprise,negative,0,1,4,7,"00:21:01,927","00:21:03,261"\r\n'
    '3,,Monica,surprise,negative,0,2,4,7,"00:21:01,927","00:21:03,261"\r\n'
    '4,Hm.,Monica,boredom,negative,0,3,4,7,"00:21:01,927","00:21:03,261"\r\n'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_meld_rows(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "train_sent_emo.csv").write_bytes(MELD.encode(encoding))
    corpus = READERS["meld"].read(tmp_path)
    first, second = corpus.utterances
    assert (first.text, first.emotion, first.speaker) == ("Oh my God, he\u2019s lost it.", "sad", "meld/Phoebe")
    assert (first.session, first.script, first.split) == ("meld/s04e07", "meld/train-0", "train")
    assert (second.emotion, second.extra["id"]) == ("surprised", "train/dia0_utt1")
    assert "train_sent_emo.csv has rows without words or with an unknown emotion, at lines 4, 5." in corpus.findings


def test_meld_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train_sent_emo.csv").write_text("Utterance,Emotion\nHi.,joy\n")
    with pytest.raises(DataError, match="has no column Speaker, Dialogue_ID"):
        READERS["meld"].read(tmp_path)


def test_an_unknown_corpus_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"no corpus reader 'iemocup'; known are crema-d, emodb, .*ravdess"):
        get_reader("iemocup")
    assert get_reader("emodb") is READERS["emodb"]


def test_what_is_published_about_each_corpus() -> None:
    for name, reader in READERS.items():
        info = reader.INFO
        assert info.name == name
        assert info.licence
        assert info.citation.endswith(".")
        assert info.utterances > 0
        assert set(info.splits) <= {"train", "validation", "test"}


def test_labels_that_m3ser_has_no_name_for_are_left_out_and_counted(tree: Tree) -> None:
    info = replace(READERS["emodb"].INFO, labels={"W": "angry", "X": None}, counts={})
    corpus = read_recordings(
        tree(["a_W.wav", "b_X.wav", "c_X.wav"]),
        info,
        names=re.compile(r"([a-z])_([A-Z])"),
        describe=lambda name: Clip(name.string, name[2], speaker=name[1], sentence=None, text=None, language="de"),
        missing=lambda present: [f"{len(present)} are there."],
    )
    assert [(u.emotion, u.speaker, u.script) for u in corpus.utterances] == [("angry", "emodb/a", None)]
    assert dict(corpus.left_out) == {"label 'X'": 2}
    assert corpus.findings == ("3 are there.",)


def test_a_label_map_to_an_unknown_emotion_is_refused() -> None:
    with pytest.raises(UsageError, match=r"Corpus 'emodb' maps labels to \['livid'\]; known are angry"):
        replace(READERS["emodb"].INFO, labels={"W": "livid"}, counts={})


def test_a_recording_without_samples_is_reported(tree: Tree, write_wav: Callable[..., Path]) -> None:
    root = tree(["wav/03a01Fa.wav"])
    write_wav(root / "wav" / "03a01Nc.wav", seconds=0)
    corpus = READERS["emodb"].read(root)
    assert len(corpus.utterances) == 1
    assert any("left out (1): wav/03a01Nc.wav" in finding for finding in corpus.findings)
