from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from m3ser.corpora import Manifest, export_manifest, import_manifest
from m3ser.errors import DataError, UsageError
from m3ser.schema import Utterance

ROW = {
    "key": "ravdess-03-01-05-01-02-01-18",
    "dataset": "ravdess",
    "wav": "downloads/ravdess/Actor_18/03-01-05-01-02-01-18.wav",
    "type": "raw",
    "sample_rate": 48000,
    "num_frame": 171371.0,
    "task": "category",
    "length": 3.5702291666666666,
    "emo": "Angry",
    "channel": 1,
}


def write(path: Path, *rows: dict[str, object], newline: str = "\n", start: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((start + "".join(json.dumps(row) + newline for row in rows)).encode())
    return path


def row(number: int, emotion: str = "Angry", **more: object) -> dict[str, object]:
    return {**ROW, "key": f"k{number}", "wav": f"downloads/{number}.wav", "emo": emotion, **more}


def test_a_row_as_published(tmp_path: Path) -> None:
    notes: list[str] = []
    found = import_manifest(write(tmp_path / "ravdess.jsonl", ROW), note=notes.append)
    (utterance,) = found.utterances
    assert utterance == Utterance(
        tmp_path / ROW["wav"],
        "angry",
        extra={
            "id": ROW["key"],
            "corpus": "ravdess",
            "duration": "3.5702291666666666",
            "sample_rate": "48000",
            "label": "Angry",
        },
    )
    assert len(notes) == 1
    assert "--audio-root FOLDER says where their paths begin" in notes[0]


def test_paths_begin_where_emobox_is_started(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    clip = write_wav(tmp_path / "EmoBox" / ROW["wav"])
    source = write(tmp_path / "EmoBox" / "data" / "ravdess" / "ravdess.jsonl", ROW)
    notes: list[str] = []
    (utterance,) = import_manifest(source, note=notes.append).utterances
    assert (utterance.audio, notes) == (clip, [])
    elsewhere = tmp_path / "elsewhere"
    with pytest.raises(UsageError, match="is not a folder"):
        import_manifest(source, audio_root=elsewhere)
    elsewhere.mkdir()
    assert import_manifest(source, audio_root=elsewhere).utterances[0].audio == elsewhere / ROW["wav"]


def test_folds_speakers_and_labels_of_a_dataset(tmp_path: Path) -> None:
    rows = [row(1, "p"), row(2, "q"), row(3, "Sad")]
    write(tmp_path / "mine" / "mine.jsonl", *rows)
    parts = [("test", "train", "valid"), ("train", "test", "train")]
    for number, own in enumerate(parts, start=1):
        for part in ("train", "valid", "test"):
            chosen = [one for one, its in zip(rows, own, strict=True) if its == part]
            if chosen:
                write(tmp_path / "mine" / f"fold_{number}" / f"mine_{part}_fold_{number}.jsonl", *chosen)
    (tmp_path / "mine" / "label_map.json").write_text('{"p": "Surprise", "q": "Happy"}')
    (tmp_path / "mine" / "data.seg.wrd.stm").write_text(
        "k1 1 12 0 5.18 <id=k1,lang=en,spk=12,emotion=p> p\nk2 1 06 0 4.3 <id=k2,lang=en,spk=06,emotion=q> q\n"
    )
    utterances = import_manifest(tmp_path / "mine", note=[].append).utterances
    assert [u.emotion for u in utterances] == ["surprised", "happy", "sad"]
    assert [u.speaker for u in utterances] == ["ravdess/12", "ravdess/06", None]
    assert [u.language for u in utterances] == [None, None, None]
    assert [(u.extra["fold1"], u.extra["fold2"]) for u in utterances] == [
        ("test", "train"),
        ("train", "test"),
        ("validation", "train"),
    ]
    assert {u.split for u in utterances} == {None}


def test_one_fold_is_the_split(tmp_path: Path) -> None:
    write(tmp_path / "m" / "fold_1" / "m_train_fold_1.jsonl", row(1))
    write(tmp_path / "m" / "fold_1" / "m_test_fold_1.jsonl", row(2))
    found = {u.extra["id"]: u.split for u in import_manifest(tmp_path / "m", note=[].append).utterances}
    assert found == {"k1": "train", "k2": "test"}
    write(tmp_path / "m" / "fold_1" / "m_test_fold_1.jsonl", row(1))
    with pytest.raises(DataError, match=r"key 'k1' is in train of this fold too|key 'k1' is in test of this fold too"):
        import_manifest(tmp_path / "m")


def test_files_that_have_been_through_windows(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", row(1), row(2, "Sad"), newline="\r\n\r\n", start="\ufeff")
    assert [u.emotion for u in import_manifest(source, note=[].append).utterances] == ["angry", "sad"]
    source.write_bytes(json.dumps(row(1, text="Schön"), ensure_ascii=False).encode("latin-1"))
    notes: list[str] = []
    assert import_manifest(source, note=notes.append).utterances[0].text == "Schön"
    assert "is not UTF-8; it was read as Windows-1252." in notes[0]


def test_all_faults_at_once(tmp_path: Path) -> None:
    source = write(
        tmp_path / "a.jsonl",
        row(1),
        row(1),
        row(2, "xxx"),
        row(3, "wut"),
        row(4, "xxx"),
        row(5, type="feature"),
        row(6, start_time=2, end_time=1),
        {"key": "k7"},
        row(8, split="some"),
        row(9, emo=None),
    )
    source.write_text(source.read_text() + "{\n[]\n")
    with pytest.raises(DataError) as caught:
        import_manifest(source, "emobox")
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("a.jsonl' has 9 faults:")
    assert lines[1].startswith("  labels that are not known: 'wut' (1), 'xxx' (2); say what each means with --label")
    for line in (
        "  line 2: key 'k1' is there already (line 1)",
        "  line 6: type is 'feature'; expected 'raw'",
        "  line 7: end is 1 s; expected more than start, 2 s",
        "  line 8: expected at least the strings key and wav",
        "  line 9: split is 'some'; expected one of train, validation, test",
        "  line 10: no emotion; expected one of the columns emotion, emo, emotion_label, label",
        "  line 12: a JSON list; expected an object",
    ):
        assert line in lines
    assert any(line.startswith("  line 11: not JSON: ") for line in lines)


def test_labels_are_mapped_by_hand(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", row(1, "xxx"), row(2, "Angry"))
    found = import_manifest(source, labels={"XXX": "other", "angry": "frustrated"}, note=[].append)
    assert [(u.emotion, u.extra["label"]) for u in found.utterances] == [("other", "xxx"), ("frustrated", "Angry")]


def test_many_faults_are_counted(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", row(0), *({"key": str(number)} for number in range(150)))
    with pytest.raises(DataError) as caught:
        import_manifest(source)
    assert str(caught.value).splitlines()[-1] == "  and 50 more"


def test_an_exported_dataset_is_laid_out_as_emobox_has_it(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    clips = [write_wav(tmp_path / f"{name}.wav", seconds=0.5) for name in "ab"]
    rows = (
        Utterance(clips[0], "happy", speaker="1", split="train"),
        Utterance(clips[1], "sad", start=0.1, split="validation"),
        Utterance(clips[1], "sad", end=0.1, split="test"),
    )
    notes: list[str] = []
    out = tmp_path / "mine"
    export_manifest(Manifest(Path("all.csv"), "mine", rows), out, "emobox", note=notes.append)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.json*")) == [
        "fold_1/mine_test_fold_1.jsonl",
        "fold_1/mine_train_fold_1.jsonl",
        "fold_1/mine_valid_fold_1.jsonl",
        "label_map.json",
        "mine.jsonl",
    ]
    first, second, third = map(json.loads, (out / "mine.jsonl").read_text().splitlines())
    assert first == {
        "key": "a",
        "dataset": "mine",
        "wav": str(clips[0]),
        "type": "raw",
        "sample_rate": 16000,
        "num_frame": 8000,
        "task": "category",
        "length": 0.5,
        "emo": "happy",
        "channel": 1,
        "speaker": "1",
        "split": "train",
    }
    assert (second["key"], second["start_time"], second["end_time"], second["length"]) == ("b", 0.1, 0.5, 0.4)
    assert (third["key"], third["start_time"], third["end_time"]) == ("b-2", 0.0, 0.1)
    assert json.loads((out / "label_map.json").read_text()) == {"happy": "Happy", "sad": "Sad"}
    assert notes == [
        "What the manifest says about itself has no place in EmoBox's metadata.",
        "EmoBox passes over what it has no fields for: speaker, split.",
    ]


def test_one_file_alone(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    clip = write_wav(tmp_path / "a.wav")
    rows = tuple(Utterance(clip, "sad", extra={"fold1": part, "fold2": part}) for part in ("train", "test"))
    notes: list[str] = []
    export_manifest(Manifest(Path("all.csv"), "", rows), tmp_path / "m.jsonl", "emobox", note=notes.append)
    assert [note.partition(":")[0] for note in notes] == ["EmoBox reads folds from a folder"]
    assert [u.extra["fold2"] for u in import_manifest(tmp_path / "m.jsonl").utterances] == ["train", "test"]
    with pytest.raises(UsageError, match=r"is a folder, or a \.jsonl file"):
        export_manifest(Manifest(Path("all.csv"), "", rows), tmp_path / "m.csv", "emobox")
