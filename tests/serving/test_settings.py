from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from m3ser import errors
from m3ser.errors import M3serError, UsageError
from m3ser.profile import Profile
from m3ser.serving import ServiceSettings
from m3ser.serving.keys import ApiKeys, read_api_keys
from m3ser.serving.logs import JsonLines
from m3ser.serving.problems import INTERNAL, problem_of


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", ""),
        ("port", 70_000),
        ("workers", 0),
        ("lanes", 0),
        ("queue_size", 0),
        ("batch_size", 9),
        ("batch_wait", 2.0),
        ("max_duration", float("nan")),
        ("stop_seconds", 0.0),
        ("api_keys", ("",)),
    ],
)
def test_what_makes_no_sense_is_one_sentence(name: str, value: Any) -> None:
    with pytest.raises(UsageError):
        ServiceSettings(**{name: value})


@pytest.mark.parametrize(
    ("host", "is_loopback"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("x", False)]
)
def test_loopback(host: str, is_loopback: bool) -> None:
    assert ServiceSettings(host=host).is_loopback is is_loopback


def test_two_profiles_of_one_name() -> None:
    one = Profile(name="anna", encoder="00" * 32, model="tiny@3", utterances=1, seconds=1.0, mean=(0.0,))
    other = one.model_copy(update={"mean": (1.0,)})
    with pytest.raises(UsageError, match=r"^2 profiles are called 'anna'; expected one of a name\.$"):
        ServiceSettings(profiles=(one.model_copy(update={"name": "bert"}), one, other))


def test_keys_do_not_show() -> None:
    assert "secret" not in repr(ServiceSettings(api_keys=("secret-secret-secret",)))
    assert "secret" not in repr(vars(ApiKeys(["secret-secret-secret"])))


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# ours\n\n  0123456789abcdef  \nfedcba9876543210\n")
    assert read_api_keys(path) == ("0123456789abcdef", "fedcba9876543210")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"# none\n", "holds no key"), (b"ok-ok-ok-ok-ok-ok\nshort\n", "line 2"), (b"\xff\xfe", "not UTF-8")],
)
def test_a_bad_key_file_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=sentence) as found:
        read_api_keys(path)
    assert "short" not in str(found.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_api_keys(tmp_path / "nowhere")


def test_each_kind_of_error_has_one_status() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, M3serError)]
    statuses = {
        kind.__name__: problem_of(kind("a", "b") if "Extra" in kind.__name__ else kind("a")).status for kind in kinds
    }
    assert statuses["UsageError"] == 400
    assert statuses["AudioTooLongError"] == 413
    assert statuses["AudioReadError"] == statuses["TextError"] == 422
    assert statuses["BundleError"] == statuses["M3serError"] == 500
    assert problem_of(errors.BundleError("/secret/path")) is INTERNAL


def test_a_log_line_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    record = logging.LogRecord("m3ser", logging.INFO, "", 0, "a\nb", (), None)
    record.facts = {"id": "1", "status": 200}
    JsonLines().emit(record)
    (line,) = stream.getvalue().splitlines()
    assert {"message": "a\nb", "id": "1", "status": 200, "level": "info"}.items() <= json.loads(line).items()
