from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from m3ser.encoders.ctranslate2_format import read_ctranslate2
from m3ser.errors import CheckpointError

TYPES = {"f4": 0, "i1": 1, "i2": 2, "i4": 3, "f2": 4}
BFLOAT16 = 5


def string(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return struct.pack("<H", len(raw)) + raw


def variable(name: str, values: np.ndarray, type_number: int | None = None) -> bytes:
    kind = TYPES[values.dtype.str[1:]] if type_number is None else type_number
    shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
    return string(name) + shape + struct.pack("<BI", kind, values.nbytes) + values.tobytes()


def model(variables: list[bytes], aliases: list[tuple[str, str]] = (), *, version: int = 6) -> bytes:
    head = struct.pack("<I", version) + string("TestSpec") + struct.pack("<II", 3, len(variables))
    tail = struct.pack("<I", len(aliases)) + b"".join(string(text) for pair in aliases for text in pair)
    return head + b"".join(variables) + tail


WHOLE = model(
    [
        variable("plain", np.array([[1.5, -2.0, 3.0]], np.float32)),
        variable("half", np.array([0.5, 4.0], np.float16)),
        variable("brain", (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype(np.uint16), BFLOAT16),
        variable("rows", np.array([[127, -64, 0], [10, 20, 30]], np.int8)),
        variable("rows_scale", np.array([254.0, 10.0], np.float32)),
        variable("kernel", np.array([[[127, 0]], [[1, 2]]], np.int8)),
        variable("kernel_scale", np.array([127.0, 0.5], np.float32)),
        variable("short", np.array([[1024, -512]], np.int16)),
        variable("short_scale", np.array(512.0, np.float32)),
        variable("heads", np.array(6, np.int16)),
    ],
    [("other", "rows"), ("nothing", "gone"), ("brain2", "brain")],
)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.bin"


def test_every_type_is_read(path):
    path.write_bytes(WHOLE)
    found = read_ctranslate2(path)
    assert (found.spec, found.revision) == ("TestSpec", 3)
    expected = {
        "plain": [[1.5, -2.0, 3.0]],
        "half": [0.5, 4.0],
        "brain": [1.5, -2.0],
        "brain2": [1.5, -2.0],
        "rows": [[0.5, -64 / 254, 0.0], [1.0, 2.0, 3.0]],
        "kernel": [[[1.0, 0.0]], [[2.0, 4.0]]],
        "short": [[2.0, -1.0]],
        "other": [[0.5, -64 / 254, 0.0], [1.0, 2.0, 3.0]],
    }
    for name, values in expected.items():
        weights = found.weights(name)
        assert weights.dtype == np.float32
        assert weights.flags.writeable
        np.testing.assert_allclose(weights, values, rtol=1e-6)
    assert found.scalar("heads") == 6
    assert "nothing" not in found.variables


def test_a_real_file_is_read(whisper_tiny):
    found = read_ctranslate2(whisper_tiny / "model.bin")
    assert found.spec == "WhisperSpec"
    assert found.scalar("encoder/num_heads") == 6
    assert found.weights("encoder/conv1/weight").shape == (384, 80, 3)
    assert found.variables["decoder/projection/weight"].shape == found.variables["decoder/embeddings/weight"].shape


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_a_truncated_file_is_an_error_wherever_it_ends(path, size):
    path.write_bytes(WHOLE[:size])
    with pytest.raises(CheckpointError, match="empty" if size == 0 else "truncated"):
        read_ctranslate2(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(path, at, byte):
    path.write_bytes(WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :])
    with suppress(CheckpointError):
        found = read_ctranslate2(path)
        for name in found.variables:
            found.weights(name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (model([], version=3), "unknown version: 3, known are 4, 5, 6"),
        (model([], version=7), "unknown version: 7"),
        (b"\x80\x04\x95 a pickle, for instance", "not a CTranslate2 model"),
        (model([variable("odd", np.zeros(2, np.float32), 6)]), "'odd' is of the unknown type 6"),
        (model([variable("odd", np.zeros(2, np.float32), 4)]), r"'odd' of shape \(2,\) and type float16 cannot have 8"),
        (model([string("odd") + struct.pack("<B70IBI", 70, *[1] * 70, 1, 1) + b"x"]), "'odd' cannot have the shape"),
        (model([struct.pack("<H", 2) + b"\xff\0" + struct.pack("<BBIB", 0, 1, 1, 0)]), "not UTF-8"),
    ],
)
def test_what_cannot_be_is_named(path, content, words):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        read_ctranslate2(path)


@pytest.mark.parametrize("scale", [0.0, np.nan, 1e-45])
def test_a_scale_that_is_no_factor_is_damage(path, scale):
    weight = variable("w", np.array([127, 0], np.int8))
    path.write_bytes(model([weight, variable("w_scale", np.array([scale, 1.0], np.float32))]))
    with pytest.raises(CheckpointError, match="w_scale does not give finite weights"):
        read_ctranslate2(path).weights("w")


def test_a_file_that_is_not_there_is_named(path):
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_ctranslate2(path)


def test_what_is_asked_for_must_be_there(path):
    path.write_bytes(
        model(
            [
                variable("bare", np.ones(2, np.int8)),
                variable("askew", np.ones((2, 2), np.int8)),
                variable("askew_scale", np.ones(3, np.float32)),
            ]
        )
    )
    found = read_ctranslate2(path)
    with pytest.raises(CheckpointError, match="has no variable 'gone'"):
        found.weights("gone")
    with pytest.raises(CheckpointError, match="has no variable 'bare_scale'"):
        found.weights("bare")
    with pytest.raises(CheckpointError, match=r"askew_scale has the shape \(3,\), its weight \(2, 2\)"):
        found.weights("askew")
    with pytest.raises(CheckpointError, match="bare is not a single whole number"):
        found.scalar("bare")
