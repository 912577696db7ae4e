"""MELD with its clips: found where people have them, checked without decoding, and missed where they are not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from m3ser.corpora import READERS
from m3ser.corpora.movie_header import inspect_movie

MELD = READERS["meld"]
COLUMNS = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
ROW = '{0},Words of {0}.,Monica,joy,positive,{1},{2},4,7,"00:00:00,000","00:00:01,000"\n'


def box(kind: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack(">I4s", 8 + len(inside), kind) + inside


def movie(*, seconds: float = 1.5, version: int = 0, handlers: tuple[bytes, ...] = (b"vide", b"soun")) -> bytes:
    """An MP4 file with everything but pictures and sound."""
    times = struct.pack(">QQIQ", 0, 0, 600, round(600 * seconds)) if version else b""
    times = times or struct.pack(">IIII", 0, 0, 600, round(600 * seconds))
    tracks = [box(b"trak", box(b"mdia", box(b"hdlr", bytes(8), handler, bytes(12)))) for handler in handlers]
    header = box(b"mvhd", bytes([version, 0, 0, 0]), times, bytes(80))
    return box(b"ftyp", b"isom", bytes(4)) + box(b"moov", header, *tracks) + box(b"mdat", bytes(64))


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Three tables: dialogue 0 of four utterances in each part."""
    for part in ("train", "dev", "test"):
        rows = "".join(ROW.format(number + 1, 0, number) for number in range(4))
        (tmp_path / f"{part}_sent_emo.csv").write_text(COLUMNS + rows)
    return tmp_path


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_words_alone(words: Path) -> None:
    corpus = MELD.read(words)
    assert corpus.info is MELD.INFO
    assert corpus.info.kind == "text"
    assert [utterance.audio for utterance in corpus.utterances] == [None] * 12
    assert all("rows" in finding for finding in corpus.findings)


def test_clips_as_published(words: Path) -> None:
    paths = [
        words / "MELD.Raw" / folder / f"dia0_utt{number}.mp4"
        for folder in ("train/train_splits", "dev/dev_splits_complete", "test/output_repeated_splits_test")
        for number in range(4)
    ]
    for path in paths:
        put(path, movie())
    put(paths[-1].with_name("final_videos_testdia0_utt0.mp4"), movie())
    put(paths[-1].with_name("._dia0_utt0.mp4"), b"\0\5\x16\7")
    told: list[tuple[int, int]] = []
    corpus = MELD.read(words, progress=lambda done, of: told.append((done, of)))
    assert corpus.info.kind == "speech"
    assert [utterance.audio for utterance in corpus.utterances] == paths
    assert {utterance.extra["duration"] for utterance in corpus.utterances} == {"1.500"}
    assert all("rows" in finding for finding in corpus.findings)
    assert told[-1] == (12, 12)


def test_faults_of_clips_are_reported_and_the_words_kept(words: Path, write_wav: Callable[..., Path]) -> None:
    train = words / "train_splits"
    put(train / "dia0_utt0.mp4", movie())
    put(train / "dia0_utt1.mp4", movie()[:40])
    put(train / "dia0_utt2.mp4", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 41002\n")
    put(train / "dia7_utt0.mp4", movie())
    put(train / "opening.mp4", movie())
    write_wav(words / "wav" / "dia0_utt1.wav")
    corpus = MELD.read(words)
    assert len(corpus.utterances) == 12
    assert [u.extra["id"] for u in corpus.utterances if u.audio is not None] == ["train/dia0_utt0"]
    kept = "only the words are used"
    assert [finding for finding in corpus.findings if "rows" not in finding] == [
        "Not named as MELD's clips, ignored (1): train_splits/opening.mp4.",
        "Clips in no folder that is called after a part (train, dev, test), ignored (1): wav/dia0_utt1.wav.",
        f"Damaged or truncated video, {kept} (1): train_splits/dia0_utt1.mp4.",
        f"Git LFS pointers in place of audio (run: git lfs pull), {kept} (1): train_splits/dia0_utt2.mp4.",
        f"Clips that are missing, {kept} (9): train/dia0_utt3, validation/dia0_utt0, validation/dia0_utt1 and 6 more.",
        "Clips of which no row tells, ignored (1): train/dia7_utt0.",
    ]


def test_sound_that_was_extracted_is_preferred(words: Path, write_wav: Callable[..., Path]) -> None:
    put(words / "train" / "train_splits" / "dia0_utt0.mp4", movie())
    sound = write_wav(words / "audio" / "train" / "dia0_utt0.wav")
    other = write_wav(words / "audio" / "val" / "dia0_utt0.wav")
    corpus = MELD.read(words)
    voiced = {u.extra["id"]: (u.audio, u.extra["duration"]) for u in corpus.utterances if u.audio is not None}
    assert voiced == {"train/dia0_utt0": (sound, "0.050"), "validation/dia0_utt0": (other, "0.050")}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (movie(), (1.5, None)),
        (movie(version=1), (1.5, None)),
        (movie(seconds=0), (None, None)),  # fragmented files leave it open
        (movie()[:-10], (None, "Damaged or truncated video")),
        (box(b"ftyp", b"isom") + box(b"mdat", bytes(64)), (None, "Video without its index, which no player can read")),
        (movie(handlers=(b"vide",)), (None, "Video without a sound track")),
        (b"not a video at all", (None, "Damaged or truncated video")),
        (b"\0\0\0", (None, "Damaged or truncated video")),
        (bytes(8) + bytes(64), (None, "Video without its index, which no player can read")),
        (struct.pack(">I4sQ", 1, b"mdat", 24) + bytes(8) + movie(), (1.5, None)),
        (struct.pack(">I4sQ", 1, b"mdat", 3) + movie(), (None, "Damaged or truncated video")),
        # Boxes within boxes within boxes: deeper than anybody looks.
        (struct.pack(">I4s", 0, b"moov") * 5000, (None, "Video without its index, which no player can read")),
    ],
)
def test_what_an_mp4_header_says(tmp_path: Path, content: bytes, expected: tuple[float | None, str | None]) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert inspect_movie(str(path)) == expected


def test_a_video_that_is_not_there() -> None:
    assert inspect_movie("nowhere.mp4") == (None, "Not readable: No such file or directory")


def test_a_video_that_ffmpeg_made(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    numpy = pytest.importorskip("numpy")
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=16_000, layout="mono")
        for _ in range(16):
            frame = av.AudioFrame.from_ndarray(numpy.zeros((1, 1024), numpy.float32), format="fltp", layout="mono")
            frame.sample_rate = 16_000
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    duration, fault = inspect_movie(str(path))
    assert fault is None
    assert duration == pytest.approx(1.024, abs=0.1)
    path.write_bytes(path.read_bytes()[:-200])  # the index is at the end
    assert inspect_movie(str(path))[1] is not None
