from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3ser.errors import DataError
from m3ser.profile import Profile, read_profile


def profile(**changes: Any) -> Profile:
    values = {
        "name": "anna",
        "encoder": "ab" * 32,
        "model": "tiny@3",
        "utterances": 12,
        "seconds": 30.5,
        "mean": (0.25, -1.0, float(np.float32(0.1))),
    }
    return Profile(**(values | changes))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "anna.json"
    profile().write(path)
    assert read_profile(path) == profile()
    state = read_profile(path).state()
    assert state.dtype == np.float32
    assert state.tolist() == [0.25, -1.0, float(np.float32(0.1))]


def test_another_digest_where_answers_would_be_others() -> None:
    digests = {
        one.digest()
        for one in (profile(), profile(name="bob"), profile(encoder="cd" * 32), profile(mean=(0.25, -1.0, 0.2)))
    }
    assert len(digests) == 4
    assert profile(utterances=99, seconds=1.0).digest() == profile().digest()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format"),
        ({"mean": []}, "mean"),
        ({"mean": [1.0, "2"]}, r"mean\.1"),
        ({"encoder": "short"}, "encoder"),
        ({"name": "../x"}, "name"),
        ({"utterances": 0}, "utterances"),
        ({"further": 1}, "further"),
    ],
)
def test_what_is_no_profile_is_said_in_a_sentence(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "anna.json"
    path.write_text(json.dumps(profile().model_dump() | change), encoding="utf-8")
    with pytest.raises(DataError, match=rf"anna\.json' is not a profile as m3ser adapt writes it \({said}: "):
        read_profile(path)


@pytest.mark.parametrize("content", [b"", b"RIFF\x00\xff", b"[]", b'{"format": 1, "mean": [NaN]}'])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^'.*clip\.wav' is not a profile"):
        read_profile(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json' cannot be read: No such file"):
        read_profile(tmp_path / "gone.json")
