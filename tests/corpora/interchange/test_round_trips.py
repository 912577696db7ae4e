"""What is exported and imported again is what it was, in every format that is written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m3ser.corpora import COLUMNS, SPLITS, Manifest, export_manifest, import_manifest
from m3ser.errors import DataError, UsageError
from m3ser.schema import EMOTIONS, Utterance

WRITTEN = ("emobox", "audformat", "audiofolder")
SECONDS = 0.5

# Whatever UTF-8 can hold, line ends and quotes included.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
identities = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=6)
ratings = st.floats(-10, 10, allow_nan=False).map(lambda number: round(number, 6))
milliseconds = st.integers(1, 200).map(lambda number: number / 1000)


@st.composite
def manifests(draw: st.DrawFn) -> list[dict[str, object]]:
    """Rows, without two for the same stretch of a recording."""
    files = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5, unique=True))
    rows = []
    for file in files:
        start, length = draw(st.none() | milliseconds), draw(st.none() | milliseconds)
        row = {
            "file": file,
            "emotion": draw(st.sampled_from(EMOTIONS)),
            "start": start,
            "end": None if length is None else (start or 0.0) + length,
            "language": draw(st.sampled_from([None, "en", "pt-BR", "deu"])),
            "split": draw(st.sampled_from([None, *SPLITS])),
            "text": draw(st.none() | texts),
            "extra": draw(st.dictionaries(st.sampled_from(["gender", "note", "file", "wav"]), texts, max_size=3)),
        }
        row |= {name: draw(st.none() | identities) for name in ("speaker", "session", "script")}
        row |= {name: draw(st.none() | ratings) for name in ("valence", "arousal", "dominance")}
        rows.append(row)
    return rows


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory, write_wav: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for name in "abcdef":
        write_wav(folder / f"{name}.wav", seconds=SECONDS)
    return folder


def utterance(row: dict[str, object], recordings: Path) -> Utterance:
    return Utterance(
        recordings / f"{row['file']}.wav", **{name: value for name, value in row.items() if name != "file"}
    )


def told(utterance: Utterance) -> dict[str, object]:
    """An utterance to compare: the sound in place of its path, and times as what they stand for."""
    values = {name: getattr(utterance, name) for name in COLUMNS}
    values["audio"] = utterance.audio.read_bytes()
    values["start"] = pytest.approx(utterance.start or 0.0, abs=1e-9)
    values["end"] = pytest.approx(SECONDS if utterance.end is None else utterance.end, abs=1e-9)
    return values


@pytest.mark.parametrize("form", WRITTEN)
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=manifests())
def test_what_is_exported_is_what_is_imported(form: str, rows: list[dict[str, object]], recordings: Path) -> None:
    if form == "audformat":
        pytest.importorskip("audformat")
    written = [utterance(row, recordings) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.v1")
        export_manifest(Manifest(Path("all.csv"), "mine", tuple(written)), out, form, note=[].append)
        found = import_manifest(out, note=[].append).utterances
        before = sorted(map(told, written), key=lambda one: one["audio"])
        after = sorted(map(told, found), key=lambda one: one["audio"])
        assert after == before
        extras = {u.audio.name: dict(u.extra) for u in found}
    for one in written:
        kept = {name.rstrip("_"): value for name, value in extras[one.audio.name].items()}
        assert dict(one.extra).items() <= kept.items()


@pytest.mark.parametrize("form", WRITTEN)
def test_a_second_round_trip_changes_nothing(form: str, recordings: Path, tmp_path: Path) -> None:
    if form == "audformat":
        pytest.importorskip("audformat")
    rows = [
        Utterance(recordings / "a.wav", "angry", speaker="mine/1", extra={"id": "one", "corpus": "mine", "label": "W"}),
        Utterance(recordings / "b.wav", "calm", speaker="mine/2", extra={"id": "two", "corpus": "mine"}),
    ]
    export_manifest(Manifest(Path("all.csv"), "", tuple(rows)), tmp_path / "first", form)
    first = import_manifest(tmp_path / "first")
    export_manifest(first, tmp_path / "second", form)
    second = import_manifest(tmp_path / "second")
    assert [{**vars(u), "audio": u.audio.name} for u in second.utterances] == [
        {**vars(u), "audio": u.audio.name} for u in first.utterances
    ]
    for u, one in zip(rows, first.utterances, strict=True):
        assert dict(u.extra).items() <= dict(one.extra).items()


@pytest.mark.parametrize("form", WRITTEN)
def test_text_without_voice_is_left_out_and_said(form: str, recordings: Path, tmp_path: Path) -> None:
    if form == "audformat":
        pytest.importorskip("audformat")
    rows = (Utterance(recordings / "a.wav", "sad"), Utterance(None, "sad", text="Oh."))
    notes: list[str] = []
    export_manifest(Manifest(Path("all.csv"), "", rows), tmp_path / "out", form, note=notes.append)
    assert notes == [f"1 utterances without a recording were left out: {form} lists recordings."]
    assert len(import_manifest(tmp_path / "out").utterances) == 1
    with pytest.raises(DataError, match="has no recordings"):
        export_manifest(Manifest(Path("all.csv"), "", rows[1:]), tmp_path / "none", form)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("form", WRITTEN)
def test_a_folder_that_holds_something_is_left_alone(form: str, recordings: Path, tmp_path: Path) -> None:
    if form == "audformat":
        pytest.importorskip("audformat")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    manifest = Manifest(Path("all.csv"), "", (Utterance(recordings / "a.wav", "sad"),))
    with pytest.raises(UsageError, match="is not empty; name a new one"):
        export_manifest(manifest, tmp_path / "out", form)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "precious.txt"]
    (tmp_path / "empty").mkdir()
    export_manifest(manifest, tmp_path / "empty", form)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("form", ["emobox", "audiofolder"])
def test_recordings_that_are_missing_are_all_named(form: str, recordings: Path, tmp_path: Path) -> None:
    rows = tuple(Utterance(tmp_path / f"{name}.wav", "sad") for name in "xyz")
    with pytest.raises(DataError) as caught:
        export_manifest(Manifest(Path("all.csv"), "", rows), tmp_path / "out", form)
    assert all(f"{name}.wav" in str(caught.value) for name in "xyz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["kaldi", "speechbrain"])
def test_some_formats_are_only_read(form: str, recordings: Path, tmp_path: Path) -> None:
    manifest = Manifest(Path("all.csv"), "", (Utterance(recordings / "a.wav", "sad"),))
    with pytest.raises(UsageError, match="writes m3ser, emobox, audformat, audiofolder"):
        export_manifest(manifest, tmp_path / "out", form)
