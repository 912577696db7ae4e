"""Encoders by name, from a Hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from m3ser.encoders.hub import find_file, looks_like_folder, one_line  # noqa: E402

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path) -> Iterator[tuple[str, Path]]:
    """The address of a Hub, and the folder whose sub-folders OWNER/NAME are its repositories."""
    root = tmp_path / "hub"
    root.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            owner, name, *rest = self.path.split("?")[0].strip("/").split("/")
            file = root.joinpath(owner, name, *rest[2:])
            found = rest[:1] == ["resolve"] and file.is_file()
            content = file.read_bytes() if found else b""
            self.send_response(200 if found else 404)
            if found:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
            else:
                known = (root / owner / name).is_dir()
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", root
        server.shutdown()
        thread.join()


SCRIPT = """
import json, sys, torch
from m3ser.encoders import TextEncoder, WhisperEncoder
from m3ser.errors import CheckpointError
torch.set_num_threads(1)
said = {}
for kind, source in json.loads(sys.argv[1]):
    try:
        encoder = (TextEncoder if kind == "text" else WhisperEncoder).from_pretrained(source)
        said[source] = sum(p.double().sum().item() for p in encoder.parameters())
    except CheckpointError as error:
        said[source] = str(error)
print(json.dumps(said))
"""


def total(module) -> float:
    return sum(parameter.detach().double().sum().item() for parameter in module.parameters())


@pytest.mark.slow
def test_encoders_are_fetched_by_name(hub, small_text, tmp_path):
    url, root = hub
    text = small_text().model
    text.save_pretrained(root / "someone" / "bert")
    sizes = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 24}
    sizes |= {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "vocab_size": 60}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
    whisper = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**sizes, **special))
    whisper.save_pretrained(root / "someone" / "whisper")
    (root / "someone" / "empty").mkdir()

    wanted = [("text", "someone/bert"), ("whisper", "someone/whisper")]
    missing = [("text", "nobody/bert"), ("whisper", "nobody/whisper"), ("whisper", "someone/empty")]
    # The Hub's library reads its settings when it is imported.
    settings = {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "home"), "no_proxy": "*", "HF_HUB_DISABLE_TELEMETRY": "1"}

    def ask(pairs: list[tuple[str, str]], **more: str) -> dict[str, float | str]:
        command = [sys.executable, "-c", SCRIPT, json.dumps(pairs)]
        done = subprocess.run(command, env=os.environ | settings | more, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    found = ask(wanted + missing)
    for source, module in (("someone/bert", text), ("someone/whisper", whisper.model.encoder)):
        assert found[source] == pytest.approx(total(module), abs=1e-6)
    assert "The text encoder 'nobody/bert' cannot be loaded: " in found["nobody/bert"]
    assert "The model 'nobody/whisper' is not a folder, and cannot be had" in found["nobody/whisper"]
    assert "The model 'someone/empty' has neither a config.json" in found["someone/empty"]
    assert not any("\n" in str(sentence) for sentence in found.values())
    # What was fetched is there when the Hub is not.
    assert ask(wanted, HF_HUB_OFFLINE="1") == {source: found[source] for _, source in wanted}


def test_a_file_in_a_folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert find_file(str(tmp_path), "config.json") == tmp_path / "config.json"
    assert find_file(str(tmp_path), "model.bin") is None


@pytest.mark.parametrize(
    ("source", "is_folder"),
    [
        ("bert-base-uncased", False),
        ("openai/whisper-tiny.en", False),
        ("./model", True),
        ("../model", True),
        ("~/model", True),
        (os.sep + "model", True),
        ("runs/best/model", True),
        ("runs\\best", True),
    ],
)
def test_what_can_only_be_a_folder(source, is_folder):
    assert looks_like_folder(source) is is_folder


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError("\n\nCannot be reached.\nTry again later."), "Cannot be reached."),
        (
            ValueError("Validation error for field 'size':\n    expected int"),
            "Validation error for field 'size': expected int.",
        ),
        (RuntimeError(""), "RuntimeError."),
        (OSError("No!"), "No."),
    ],
)
def test_long_messages_become_one_sentence(error, sentence):
    assert one_line(error) == sentence
