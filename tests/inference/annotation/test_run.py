from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

import m3ser
from m3ser.errors import DataError, UsageError
from m3ser.inference import Recogniser, Request
from m3ser.inference.annotation import Annotation, Progress, annotate
from m3ser.inference.annotation import run as run_module

Rows = Callable[[Path], list[dict[str, Any]]]
Recordings = Callable[..., Path]


@pytest.fixture
def tell(tiny_folder: Path, tmp_path: Path) -> Callable[..., Annotation]:
    """Annotates with the tiny model, by the voice alone and in this process unless told otherwise."""

    def call(sources: Any, out: str = "out.jsonl", **options: Any) -> Annotation:
        options = {"model": tiny_folder, "text": None, "workers": 1, **options}
        return annotate(sources, tmp_path / out, **options)

    return call


def answers_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(f"{out}.journal") / "answers.jsonl").read_bytes().splitlines()]


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Everything equal, and the scores within 1e-5 (they are rounded to 1e-6)."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert {**one, "scores": 0} == {**other, "scores": 0}
        np.testing.assert_allclose(list(one["scores"].values()), list(other["scores"].values()), atol=1e-5)


def test_rows_are_what_predict_gives(
    tell: Callable[..., Annotation], recordings: Recordings, rows: Rows, recogniser: Recogniser
) -> None:
    folder = recordings(37)
    found = tell(folder)
    files = [str(path) for path in sorted(folder.iterdir())]
    same(rows(found.out), [recogniser.predict(file, text=None).to_dict() for file in files])
    assert (found.done, found.failed, found.answered, found.failures) == (37, 0, 37, None)
    assert found.audio_seconds == pytest.approx(sum(row["duration"] for row in rows(found.out)))


def test_the_table_does_not_depend_on_the_number_of_workers(
    tell: Callable[..., Annotation], recordings: Recordings
) -> None:
    folder = recordings(60)
    (folder / "030.wav").write_text("junk")
    alone = tell(folder, "alone.csv")
    several = tell(folder, "several.csv", workers=3)
    assert several.out.read_bytes() == alone.out.read_bytes()
    for found in (alone, several):
        assert (found.done, found.failed) == (59, 1)
        assert found.failures is not None
        with found.failures.open(encoding="utf-8", newline="") as file:
            (failure,) = csv.DictReader(file)
        assert failure["file"] == str(folder / "030.wav")
        assert "is not audio" in failure["reason"]


def test_what_is_done_is_not_done_again(tell: Callable[..., Annotation], recordings: Recordings, rows: Rows) -> None:
    folder = recordings(5)
    (folder / "002.wav").write_text("junk")
    first = tell(folder)
    before = answers_of(first.out)
    again = tell(folder)
    assert (again.done, again.failed, again.answered) == (4, 1, 0)
    assert again.failures == first.failures
    recordings(8)
    shutil.copy(folder / "001.wav", folder / "002.wav")
    (folder / "000.wav").unlink()
    more = tell(folder)
    assert (more.done, more.failed, more.answered, more.dropped) == (6, 1, 3, 1)
    assert [Path(row["file"]).name for row in rows(more.out)] == [f"00{n}.wav" for n in (1, 3, 4, 5, 6, 7)]
    assert answers_of(more.out)[: len(before)] == before
    retried = tell(folder, retry_failed=True)
    assert (retried.done, retried.failed, retried.answered, retried.failures) == (7, 0, 1, None)
    assert first.failures is not None
    assert not first.failures.exists()
    assert len(answers_of(retried.out)) == 5 + 3 + 1


def test_an_interrupted_annotation_goes_on(
    tell: Callable[..., Annotation], recordings: Recordings, rows: Rows, tmp_path: Path
) -> None:
    folder = recordings(40)

    def interrupt(progress: Progress) -> None:
        if progress.finished >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tell(folder, progress=interrupt)
    out = tmp_path / "out.jsonl"
    assert not out.exists()
    kept = answers_of(out)
    assert len(kept) == 16
    with (tmp_path / "out.jsonl.journal" / "answers.jsonl").open("ab") as file:
        file.write(b'{"key": 17, "resu')
    found = tell(folder)
    assert found.answered == 24
    assert answers_of(out)[:16] == kept
    assert len({answer["key"] for answer in answers_of(out)}) == 40
    same(rows(out), rows(tell(folder, "whole.jsonl").out))


def test_other_settings_are_refused(
    tell: Callable[..., Annotation], recordings: Recordings, write_tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recordings(2)
    out = tell(folder).out
    kept = out.read_bytes(), answers_of(out)
    with pytest.raises(UsageError, match=r"begun with other settings \(model tiny@3, now tiny@4\): go on with those"):
        tell(folder, model=write_tiny(version="4"))
    with pytest.raises(UsageError, match=r"\(other weights, or another profile, under the model's name\)"):
        tell(folder, model=write_tiny(licence="other"))
    with pytest.raises(UsageError, match=r"\(text None, now auto\)"):
        tell(folder, text="auto", transcriber=None)
    monkeypatch.setattr(run_module, "__version__", "99")
    with pytest.raises(UsageError, match=r"\(m3ser .*, now 99\)"):
        tell(folder)
    assert (out.read_bytes(), answers_of(out)) == kept
    assert tell(folder, overwrite=True).answered == 2
    assert len(answers_of(out)) == 2


def test_what_answered_nothing_yet_binds_nobody(tell: Callable[..., Annotation], recordings: Recordings) -> None:
    folder = recordings(2)

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tell(folder, progress=interrupt)
    assert tell(folder, text="auto", transcriber=None).answered == 2


def test_other_recordings_and_other_files_are_refused(
    tell: Callable[..., Annotation], recordings: Recordings, tmp_path: Path
) -> None:
    calls, others = recordings(2), recordings(3, "others")
    out = tell(calls).out
    with pytest.raises(UsageError, match=r"was begun with other recordings, none of which is among these"):
        tell(others)
    assert tell([calls, others]).answered == 3
    (tmp_path / "mine.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"'.*mine\.csv' is there already, and no journal of it"):
        tell(calls, "mine.csv")
    assert (tmp_path / "mine.csv").read_text() == "mine"
    assert not (tmp_path / "mine.csv.journal").exists()
    with filelock.FileLock(f"{out}.journal/lock"), pytest.raises(UsageError, match="is being written by another"):
        tell(calls)


def test_sources_that_hold_nothing_leave_nothing_behind(
    tell: Callable[..., Annotation], recordings: Recordings, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no recordings"):
        tell(tmp_path / "empty")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    out = tell(recordings(2)).out
    kept = answers_of(out)
    with pytest.raises(UsageError, match="does not exist"):
        tell(tmp_path / "mistyped", overwrite=True)
    assert answers_of(out) == kept


MANIFEST = """\
id,audio,text,start,end
1,calls/000.wav,I am fine.,,
2,calls/001.wav,,,
3,calls/000.wav,I am fine.,0.05,0.25
4,,never again,,
5,calls/none.wav,No.,,
6,calls/000.wav,I am fine.,,
"""


def test_a_manifest(
    tell: Callable[..., Annotation],
    recordings: Recordings,
    rows: Rows,
    recogniser: Recogniser,
    tmp_path: Path,
) -> None:
    folder = recordings(2)
    manifest = tmp_path / "calls.csv"
    manifest.write_text(MANIFEST)
    found = tell(manifest, text="given")
    requests = [
        Request(folder / "000.wav", "I am fine."),
        Request(folder / "001.wav", None),
        Request(folder / "000.wav", "I am fine.", start=0.05, end=0.25),
        Request(None, "never again"),
        Request(folder / "000.wav", "I am fine."),
    ]
    expected = [one.to_dict() for one in recogniser.predict_batch(requests)]
    names = ["calls/000.wav", "calls/001.wav", "calls/000.wav", None, "calls/000.wav"]
    further = [{"id": "1"}, {"id": "2"}, {"id": "3", "start": 0.05, "end": 0.25}, {"id": "4"}, {"id": "6"}]
    same(
        rows(found.out),
        [e | {"file": name, "manifest": columns} for e, name, columns in zip(expected, names, further, strict=True)],
    )
    assert (found.failed, found.answered) == (1, 5)
    assert found.failures is not None
    head, failure = found.failures.read_text().splitlines()
    assert head == "file,id,start,end,reason"
    assert failure.startswith("calls/none.wav,5,,,")
    assert "does not exist" in failure


def test_rows_that_failed_before_are_told_from_those_that_fail_together_now(
    tell: Callable[..., Annotation], recordings: Recordings, tmp_path: Path
) -> None:
    recordings(1)
    manifest = tmp_path / "calls" / "m.csv"
    manifest.write_text("audio,turn\nnone.wav,1\nnone.wav,2\n000.wav,3\n", encoding="utf-8")
    first, again = tell(manifest), tell(manifest)
    assert [(found.failed, found.failed_before, found.answered) for found in (first, again)] == [(2, 0, 2), (2, 2, 0)]
    retried = tell(manifest, retry_failed=True)
    assert (retried.failed, retried.failed_before) == (2, 0)


def test_words(tell: Callable[..., Annotation], recordings: Recordings, rows: Rows, tmp_path: Path) -> None:
    recordings(2)
    (tmp_path / "calls.csv").write_text(MANIFEST)

    def sources(out: str, **options: Any) -> list[str]:
        found = tell(tmp_path / "calls.csv", out, **options)
        return [row["text_source"] for row in rows(found.out)]

    listener = Listener()
    assert sources("auto.jsonl", text="auto", transcriber=listener) == [
        *("given", "transcribed", "given", "given", "given")
    ]
    assert sources("transcribed.jsonl", text="transcribed", transcriber=listener) == ["transcribed"] * 4
    assert sources("deaf.jsonl", text="auto", transcriber=None) == ["given", "none", "given", "given", "given"]
    assert sources("none.jsonl", text=None) == ["none"] * 4


class Listener:
    name = "a listener"

    def transcribe(self, waveform: Any) -> Any:
        from m3ser.text.asr import Transcript

        return Transcript("said no", (), (), "en", self.name)


def test_progress_is_told(tell: Callable[..., Annotation], recordings: Recordings) -> None:
    folder = recordings(20)
    (folder / "003.wav").write_text("junk")
    told: list[Progress] = []
    tell(folder, progress=told.append)
    annotating = [progress for progress in told if progress.stage == "annotating"]
    assert [(progress.finished, progress.total) for progress in annotating] == [(0, 20), (8, 20), (16, 20), (20, 20)]
    assert [len(progress.failures) for progress in annotating] == [0, 1, 0, 0]
    assert told[-1].stage == "writing"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"out": "out.txt"}, r"ends in '\.txt'; expected"),
        ({"out": "none/out.csv"}, r"'.*none/out\.csv' cannot be written: there is no folder '.*none'\."),
        ({"text": "given"}, r"Given words stand in a manifest, and none was named\."),
        ({"text": "spoken"}, r"no words of the kind 'spoken'"),
        ({"workers": 0}, r"workers is 0; it must be 1 or more"),
        ({"max_seconds": 0}, r"max_seconds is 0"),
        ({"transcriber": "parrot", "text": "auto"}, r"There is no transcriber 'parrot'"),
        ({"sources": []}, r"Nothing to annotate"),
    ],
)
def test_bad_use_is_one_sentence(
    tell: Callable[..., Annotation], recordings: Recordings, options: dict[str, Any], sentence: str
) -> None:
    sources = options.pop("sources", None)
    with pytest.raises(UsageError, match=sentence):
        tell(recordings(1) if sources is None else sources, **options)


def test_it_is_called_m3ser_annotate() -> None:
    assert m3ser.annotate is annotate


def test_languages_come_from_the_manifest_or_the_caller(
    tell: Callable[..., Annotation], recordings: Recordings, rows: Rows, tmp_path: Path
) -> None:
    recordings(5)
    lines = ["audio,text,language,text_language"]
    lines += ["000.wav,I am fine,en,", "001.wav,I am fine,de,", "002.wav,I am fine,de,en", "003.wav,I am fine,,"]
    lines += ["004.wav,Das ist mir doch egal.,,"]
    manifest = tmp_path / "calls" / "m.csv"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = rows(tell(manifest, text="given").out)
    assert [row["text_source"] for row in found] == ["given", "none", "given", "given", "none"]
    assert [row.get("language") for row in found] == ["en", "de", "en", None, "de"]
    other = rows(tell(manifest, "it.jsonl", text="given", language="it-IT").out)
    assert [row["text_source"] for row in other] == ["given", "none", "given", "none", "none"]
    with pytest.raises(UsageError, match="language None, now it"):
        tell(manifest, text="given", language="it")
    with pytest.raises(UsageError, match="language it, now None"):
        tell(manifest, "it.jsonl", text="given")


def test_notes_are_a_column_where_there_are_any(
    tell: Callable[..., Annotation], recordings: Recordings, tmp_path: Path
) -> None:
    recordings(2)
    manifest = tmp_path / "calls" / "m.csv"
    for second, columns in (("I am fine", False), ("Das ist mir doch egal.", True)):
        manifest.write_text(f"audio,text\n000.wav,no jacket\n001.wav,{second}\n", encoding="utf-8")
        for _ in range(2):  # the second time, all is known from the journal
            out = tell(manifest, f"{columns}.csv", text="given").out
            with out.open(encoding="utf-8", newline="") as file:
                found = list(csv.DictReader(file))
            assert ("note" in found[0]) is columns
            if columns:
                assert found[0]["note"] == ""
                assert "it seems to be German" in found[1]["note"]


def test_what_is_no_language_is_refused(tell: Callable[..., Annotation], recordings: Recordings) -> None:
    with pytest.raises(UsageError, match="is no code of a language"):
        tell(recordings(1), text="auto", language="german")
