"""``m3ser evaluate`` with the model that comes with the package, on the real clips that do."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser.errors import TranscriptionError
from m3ser.text.asr import Transcript

pytest.importorskip("sklearn", reason="needs the train extra")
pytest.importorskip("jiwer", reason="needs the train extra")

from m3ser import inference
from m3ser.evaluation import read_predictions

Run = Callable[..., Any]
LABELS = ("angry", "happy", "sad", "neutral")


class Listener:
    """Understands "Don't forget the jacket." in every recording but those of a given length in samples."""

    name = "listener"

    def __init__(self) -> None:
        self.heard = 0
        self.deaf: dict[int, str | None] = {}

    def transcribe(self, waveform: NDArray[np.float32]) -> Transcript:
        self.heard += 1
        text = self.deaf.get(len(waveform), "Don't forget the jacket.")
        if text is None:
            raise TranscriptionError("The listener has left.")
        return Transcript(text, (), (), "en", self.name)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    found = Listener()
    monkeypatch.setattr("m3ser.text.asr.default_transcriber", lambda: found)
    return found


@pytest.fixture
def clips(starter: Path, demo_clips: Path, tmp_path: Path) -> Path:
    """A manifest of the eight clips of one sentence, in a folder of its own."""
    folder = tmp_path / "clips"
    folder.mkdir()
    with (demo_clips / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if "_DFA_" in row["audio"]]
    for row in rows:
        shutil.copy(demo_clips / row["audio"], folder)
    write(folder / "m.csv", rows)
    return folder / "m.csv"


def write(path: Path, rows: list[dict[str, str]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def recogniser() -> inference.Recogniser:
    return inference.load("starter", transcriber=None, threads=1)


def test_scores_are_those_of_the_predictions_one_by_one(
    m3ser: Run, clips: Path, recogniser: inference.Recogniser, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = m3ser("evaluate", "starter", str(clips), "--out", str(out), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    record = json.loads(result.stdout)
    assert list(record["conditions"]) == ["audio", "text", "both"]
    assert (record["model"], record["part"], record["failed"], record["transcripts"]) == ("starter@5", None, 0, None)
    table = read_predictions(out / "predictions.csv")
    assert table.labels == LABELS
    rows = read(clips)
    for condition in ("audio", "text", "both"):
        guesses = {}
        for row in rows:
            audio = None if condition == "text" else clips.parent / row["audio"]
            guess = recogniser.predict(audio, text=None if condition == "audio" else row["text"])
            guesses[row["audio"]] = guess
        asked = table.where(condition=condition)
        assert asked.utterances == tuple(row["audio"] for row in rows)
        assert asked.speakers == tuple(row["speaker"] for row in rows)
        for name, shares in zip(asked.utterances, asked.probabilities, strict=True):
            np.testing.assert_allclose(shares, list(guesses[name].scores.values()), atol=1e-5)
        # UA by hand: two clips of each emotion.
        recalls = [
            sum(guesses[row["audio"]].label == label for row in rows if row["emotion"] == label) / 2 for label in LABELS
        ]
        scores = record["conditions"][condition]
        assert scores["unweighted_accuracy"] == pytest.approx(sum(recalls) / 4)
        assert list(scores["recall"].values()) == pytest.approx(recalls)
        assert (scores["utterances"], scores["speakers"]) == (8, 2)
    assert json.loads((out / "scores.json").read_text())["conditions"] == record["conditions"]
    assert sorted(path.name for path in out.iterdir()) == [
        "asked.json",
        "predictions.csv",
        "scores.json",
    ]


def test_given_and_transcribed_words_side_by_side(
    m3ser: Run, clips: Path, listener: Listener, recogniser: inference.Recogniser, tmp_path: Path
) -> None:
    arguments = ["evaluate", "starter", str(clips), "--text", "given", "--text", "transcribed"]
    result = m3ser(*arguments, "--condition", "both", "--out", str(tmp_path / "out"), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    record = json.loads(result.stdout)
    assert list(record["conditions"]) == ["both", "both-transcribed"]
    assert record["transcriber"] == "listener"
    # One of four words is another one, in each of the eight.
    assert record["transcripts"] == {
        "word_error_rate": 0.25,
        "utterances": 8,
        "words": 32,
        "substitutions": 8,
        "deletions": 0,
        "insertions": 0,
    }
    table = read_predictions(tmp_path / "out" / "predictions.csv").where(condition="both-transcribed")
    expected = recogniser.predict(clips.parent / table.utterances[3], text="Don't forget the jacket.")
    np.testing.assert_allclose(table.probabilities[3], list(expected.scores.values()), atol=1e-5)
    lines = (tmp_path / "out" / "transcripts.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {
        "utterance": "1001_DFA_ANG_XX.wav",
        "text": "Don't forget the jacket.",
        "transcriber": "listener",
    }
    assert listener.heard == len(lines) == 8


def test_without_given_words_the_voice_is_judged_alone_or_they_are_transcribed(
    m3ser: Run, clips: Path, listener: Listener, recogniser: inference.Recogniser, tmp_path: Path
) -> None:
    rows = [{name: value for name, value in row.items() if name != "text"} for row in read(clips)]
    write(clips, rows)
    record = json.loads(m3ser("evaluate", "starter", str(clips), "--json").stdout)
    assert list(record["conditions"]) == ["audio"]
    # Of the first clip nothing is understood: it is judged by the voice alone, and has no words to judge.
    import soundfile

    listener.deaf[soundfile.info(clips.parent / rows[0]["audio"]).frames] = ""
    result = m3ser("evaluate", "starter", str(clips), "--text", "transcribed", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0
    assert "the transcribed words alone (text-transcribed)" in result.stdout
    assert "Word error rate" not in result.stdout
    assert "Note: listener understood nothing in 1 of 8 utterances" in result.stdout
    table = read_predictions(tmp_path / "out" / "predictions.csv")
    assert len(table.where(condition="text-transcribed")) == 7
    both = table.where(condition="both-transcribed")
    alone = recogniser.predict(clips.parent / rows[0]["audio"], text=None)
    np.testing.assert_allclose(both.probabilities[0], list(alone.scores.values()), atol=1e-5)


def test_what_cannot_be_used_is_said_and_the_others_are_judged(
    m3ser: Run, clips: Path, listener: Listener, tmp_path: Path
) -> None:
    rows = read(clips)
    (clips.parent / "junk.wav").write_bytes(b"junk")
    rows[1:1] = [
        {"audio": "junk.wav", "emotion": "sad", "text": "Oh.", "speaker": "1001"},
        {"audio": "gone.wav", "emotion": "sad", "text": "Oh.", "speaker": "1001"},
    ]
    write(clips, rows)
    out = tmp_path / "out"
    arguments = ["evaluate", "starter", str(clips), "--text", "given", "--text", "transcribed", "--out", str(out)]
    result = m3ser(*arguments, "--json")
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert "junk.wav is not audio" in first
    assert "gone.wav does not exist" in second
    assert [row["utterance"] for row in read(out / "failures.csv")] == ["junk.wav", "gone.wav"]
    assert read(out / "failures.csv")[0]["problem"] == first.removeprefix("m3ser: ")
    record = json.loads(result.stdout)
    assert record["failed"] == 2
    # Their words can still be judged.
    assert {name: one["utterances"] for name, one in record["conditions"].items()} == {
        "audio": 8,
        "text": 10,
        "both": 8,
        "text-transcribed": 8,
        "both-transcribed": 8,
    }
    # Mended and resumed, only they are looked at again.
    for name in ("junk.wav", "gone.wav"):
        shutil.copy(clips.parent / rows[0]["audio"], clips.parent / name)
    listener.heard = 0
    result = m3ser(*arguments, "--json", "--resume")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["conditions"]["both-transcribed"]["utterances"] == 10
    assert listener.heard == 2
    assert not (out / "failures.csv").exists()


def test_nothing_usable(m3ser: Run, clips: Path, tmp_path: Path) -> None:
    write(clips, [{"audio": "gone.wav", "emotion": "sad", "speaker": "s"}])
    result = m3ser("evaluate", "starter", str(clips), "--out", str(tmp_path / "out"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("m3ser: Nothing could be judged: none of the recordings or texts could be used.\n")
    assert len(read(tmp_path / "out" / "failures.csv")) == 1


def test_an_interrupted_evaluation_goes_on_where_it_was(
    m3ser: Run, clips: Path, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["evaluate", "starter", str(clips), "--text", "transcribed", "--condition", "both", "--json", "--out"]
    whole = json.loads(m3ser(*arguments, str(tmp_path / "whole")).stdout)
    out = tmp_path / "out"
    each = inference.Recogniser.predict_each
    asked: list[Any] = []

    def interrupted(self: Any, items: Any, **options: Any) -> Iterator[Any]:
        for number, result in enumerate(each(self, items, **options)):
            if number == 3:
                raise KeyboardInterrupt
            yield result

    def watched(self: Any, items: Any, **options: Any) -> Iterator[Any]:
        items = list(items)
        asked.extend(items)
        return each(self, items, **options)

    with monkeypatch.context() as patch:
        patch.setattr(inference.Recogniser, "predict_each", interrupted)
        assert m3ser(*arguments, str(out)).exit_code == 130
    assert len((out / "answers.jsonl").read_text().splitlines()) == 3
    assert not (out / "predictions.csv").exists()
    assert m3ser(*arguments, str(out)).exit_code == 2  # never unasked
    listener.heard = 0
    monkeypatch.setattr(inference.Recogniser, "predict_each", watched)
    resumed = json.loads(m3ser(*arguments, str(out), "--resume").stdout)
    assert (len(asked), listener.heard) == (5, 0)
    assert (
        resumed["conditions"]["both-transcribed"]["confusion"] == whole["conditions"]["both-transcribed"]["confusion"]
    )
    one, other = (read_predictions(folder / "predictions.csv") for folder in (out, tmp_path / "whole"))
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
    assert not (out / "answers.jsonl").exists()


def test_each_speaker_by_a_profile_of_their_own(
    m3ser: Run, clips: Path, recogniser: inference.Recogniser, tmp_path: Path
) -> None:
    """Anna has all clips of the manifest twice over, Bert one."""
    rows = [{**row, "speaker": "anna", "audio": f"{n}{row['audio']}"} for row in read(clips) for n in range(2)]
    for row in rows:
        shutil.copy(clips.parent / row["audio"][1:], clips.parent / row["audio"])
    first = read(clips)[0]
    write(clips, [*rows, {**first, "speaker": "bert"}])
    out = tmp_path / "out"
    usual = ("evaluate", "starter", str(clips), "--condition", "audio", "--json")
    result = m3ser(*usual, "--out", str(out), "--adapt-by", "speaker")
    assert result.exit_code == 0
    assert result.stderr.replace("\n", " ") == (
        "m3ser: note: a profile for each of 2 (speaker), of up to 30 recordings of theirs. 1 have too few utterances "
        "(below 10), and are judged as anybody's. "
    )
    assert json.loads(result.stdout)["model"] == "starter@5+each-speaker"
    anna = recogniser.learn([clips.parent / row["audio"] for row in rows])
    table = read_predictions(out / "predictions.csv")
    for name, who, shares in zip(table.utterances, table.speakers, table.probabilities, strict=True):
        alone = recogniser.predict(clips.parent / name, text=None, profile=anna if who == "anna" else None)
        np.testing.assert_allclose(shares, list(alone.scores.values()), atol=1e-5)
    # Other profiles are other answers: these are not gone on with.
    result = m3ser(*usual, "--out", str(out), "--adapt-by", "speaker", "--neutral", "0.7", "--resume")
    assert result.exit_code == 2
    assert "model_sha256" in result.stderr
    write(clips, [*rows, {**first, "speaker": "anna"}])
    result = m3ser(*usual, "--out", str(out), "--adapt-by", "speaker", "--resume")
    assert result.exit_code == 2
    assert "model_sha256" in result.stderr

    calm = recogniser.learn([clips.parent / row["audio"] for row in (*rows, first)], neutral=0.7)
    told = m3ser(*usual, "--out", str(tmp_path / "calm"), "--adapt-by", "speaker", "--neutral", "0.7")
    assert json.loads(told.stdout)["model"] == "starter@5+each-speaker+neutral-0.7"
    table = read_predictions(tmp_path / "calm" / "predictions.csv")
    alone = recogniser.predict(clips.parent / table.utterances[0], text=None, profile=calm)
    assert table.speakers[0] == "anna"
    np.testing.assert_allclose(table.probabilities[0], list(alone.scores.values()), atol=1e-5)
    result = m3ser(*usual, "--neutral", "0.7")
    assert result.exit_code == 2
    assert "--neutral is about what --adapt-by learns from" in result.stderr.replace("\n", " ")

    result = m3ser(*usual, "--adapt-by", "hair")
    assert result.exit_code == 2
    assert "None of the recordings has a column 'hair'" in result.stderr.replace("\n", " ")
    result = m3ser(*usual, "--adapt-by", "speaker", "--profile", "anna.json")
    assert result.exit_code == 2
    assert "--adapt-by makes a profile for each" in result.stderr.replace("\n", " ")


def test_parts_and_emotions_without_a_class_are_accounted_for(m3ser: Run, clips: Path) -> None:
    rows = read(clips)
    for number, row in enumerate(rows):
        row["split"] = "test" if number < 4 else "train"
    rows[7]["emotion"] = rows[6]["emotion"] = "fearful"
    write(clips, rows)
    arguments = ["evaluate", "starter", str(clips), "--condition", "audio", "--json"]
    everything = json.loads(m3ser(*arguments).stdout)
    assert everything["conditions"]["audio"]["utterances"] == 6
    assert "all rows were judged, those of the train part too" in everything["notes"][0]
    assert everything["notes"][1] == "2 utterances are left out, for 'iemocap4' has no class for them: fearful 2."
    tested = json.loads(m3ser(*arguments, "--part", "test").stdout)
    assert (tested["conditions"]["audio"]["utterances"], tested["notes"], tested["part"]) == (4, [], "test")
    trained = json.loads(m3ser(*arguments, "--part", "train").stdout)
    assert "this is the train part" in trained["notes"][0]
    result = m3ser(*arguments, "--part", "validation")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "has no part 'validation'; it has test, train." in result.stderr


def test_corpora_that_the_model_was_made_of_are_named(m3ser: Run, clips: Path) -> None:
    for corpus, known in (("ravdess", True), ("crema-d", False), ("own", False)):
        write(clips, [{**row, "corpus": corpus, "id": row["audio"]} for row in read(clips)])
        record = json.loads(m3ser("evaluate", "starter", str(clips), "--condition", "text", "--json").stdout)
        assert [note.startswith("the model was made of RAVDESS") for note in record["notes"]] == [True] * known


def test_compare_reads_what_is_written(m3ser: Run, clips: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        m3ser("evaluate", "starter", str(clips), "--condition", "audio", "--out", str(tmp_path / name))
    result = m3ser("compare", str(tmp_path / "one"), str(tmp_path / "two"), "--json", "--resamples", "50")
    assert json.loads(result.stdout)["differences"]["unweighted_accuracy"]["difference"] == 0


def test_for_people(m3ser: Run, clips: Path) -> None:
    shown = m3ser("evaluate", "starter", str(clips), "--condition", "both").stdout
    assert shown.startswith("voice and given words (both)\n\n| 8 utterances, 2 speakers | value |")
    assert "| truly \\ taken for | angry | happy | sad | neutral |" in shown
    assert "UA (unweighted accuracy = balanced accuracy)" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--condition", "voice"], 2, "--condition is 'voice'; expected audio, text or both."),
        (["--text", "spoken"], 2, "--text is 'spoken'; expected given or transcribed."),
        (["--part", "dev"], 2, "--part is 'dev'; expected train, validation or test."),
        (["--resume"], 2, "--resume goes on with what is in a folder; name it by --out."),
        (["--transcriber", "moonshine"], 2, "--transcriber has nothing to do without --text transcribed."),
        (["--scheme", "basic7"], 2, "it has nothing for fearful, disgusted, surprised."),
        (["--scheme", "nine"], 2, "There is no emotion scheme 'nine'"),
        (["--text", "transcribed", "--transcriber", "ear"], 2, "There is no transcriber 'ear'"),
    ],
)
def test_bad_use(m3ser: Run, clips: Path, arguments: list[str], code: int, complaint: str) -> None:
    result = m3ser("evaluate", "starter", str(clips), *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_is_no_model_or_no_manifest(m3ser: Run, clips: Path, tmp_path: Path) -> None:
    result = m3ser("evaluate", str(tmp_path), str(clips))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "is not a bundle" in result.stderr
    result = m3ser("evaluate", "starter", str(tmp_path / "gone.csv"))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "gone.csv' cannot be read" in result.stderr
    rows = [{"audio": row["audio"], "emotion": "bored"} for row in read(clips)]
    write(clips, rows)
    result = m3ser("evaluate", "starter", str(clips))
    assert result.exit_code == 1
    assert "Nothing in the manifest can be judged under audio, text, both" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="folders without permission to write are another thing there")
def test_results_that_cannot_be_written(m3ser: Run, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = m3ser("evaluate", "starter", str(clips), "--out", str(tmp_path / "file" / "out"))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "cannot be written" in result.stderr


@pytest.mark.slow
def test_moonshine_understands_real_clips(m3ser: Run, clips: Path) -> None:
    pytest.importorskip("moonshine_voice", reason="needs the asr extra")
    write(clips, [row for row in read(clips) if "1001_DFA_ANG" in row["audio"] or "1001_DFA_NEU" in row["audio"]])
    arguments = ["evaluate", "starter", str(clips), "--text", "transcribed", "--condition", "both", "--json"]
    record = json.loads(m3ser(*arguments, "--transcriber", "moonshine").stdout)
    assert record["transcriber"] == "moonshine"
    assert record["transcripts"]["words"] == 8
    assert record["transcripts"]["word_error_rate"] <= 0.25
    assert record["conditions"]["both-transcribed"]["utterances"] == 2
