"""Bundles by name, by folder and by Hugging Face Hub id."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m3ser.bundle import Bundle, FusionPart, HeadPart, write_bundle
from m3ser.errors import BundleError, UsageError
from m3ser.inference import catalogue, list_bundles, load
from m3ser.inference.catalogue import find_bundle, name_of


@pytest.fixture
def bundled(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that comes with one bundle, called small, and with clips, in an empty working directory."""
    folder = tmp_path / "bundled"
    shutil.copytree(tiny_folder, folder / "small")
    (folder / "clips").mkdir()
    monkeypatch.setattr(catalogue, "BUNDLED", folder)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


def test_bundled_ones_are_listed(bundled: Path) -> None:
    (listed,) = list_bundles()
    assert (listed.name, listed.folder, listed.manifest.full_name) == ("small", bundled / "small", "tiny@3")


def test_found_by_name(bundled: Path) -> None:
    assert find_bundle("small").folder == bundled / "small"


def test_a_bundled_name_comes_before_a_folder_of_that_name(bundled: Path, tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, "small")
    assert find_bundle("small").folder == bundled / "small"
    assert find_bundle("./small").folder == Path("small")
    assert find_bundle(Path("small")).folder == Path("small")


def test_found_by_folder(bundled: Path, tiny_folder: Path) -> None:
    assert find_bundle(str(tiny_folder)).folder == tiny_folder
    assert find_bundle(tiny_folder).folder == tiny_folder
    shutil.copytree(tiny_folder, Path("owner") / "name")
    assert find_bundle("owner/name").folder == Path("owner/name")


@pytest.mark.parametrize("name", ["smal", "small@2", "Small!"])
def test_unknown_name_lists_the_known_ones(bundled: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"comes with: small; .*folder \(\./.*Hub id \(owner/name\)"):
        find_bundle(name)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "a/b/c", Path("nowhere"), "clips/../small", ""])
def test_folder_that_is_not_there(bundled: Path, name: str | Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        find_bundle(name)


def test_folder_that_is_no_bundle(bundled: Path) -> None:
    with pytest.raises(BundleError, match=r"has no bundle\.json"):
        find_bundle("..")


def test_damaged_bundled_one_is_refused(bundled: Path) -> None:
    (bundled / "small" / "fusion.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match="damaged or incomplete"):
        find_bundle("small")


COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hub's API as fetching a model's files takes."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        files = sorted(file.name for file in self.folder.iterdir())
        prefix = f"/them/tiny/resolve/{COMMIT}/"
        if path == "/api/models/them/tiny/revision/main":
            siblings = [{"rfilename": name} for name in files]
            self.reply(json.dumps({"id": "them/tiny", "sha": COMMIT, "siblings": siblings}).encode(), body=body)
        elif path == f"/api/models/them/tiny/tree/{COMMIT}":
            tree = [
                {"type": "file", "path": name, "size": (self.folder / name).stat().st_size, "oid": f"{i:040x}"}
                for i, name in enumerate(files)
            ]
            self.reply(json.dumps(tree).encode(), body=body)
        elif path.startswith("/api/models/them/tiny/"):
            self.reply(b"{}", status=404, body=body, **{"X-Error-Code": "RevisionNotFound"})
        elif path.startswith("/api/models/gated/"):
            self.reply(b"{}", status=403, body=body, **{"X-Error-Code": "GatedRepo"})
        elif path.startswith(prefix) and path.removeprefix(prefix) in files:
            name = path.removeprefix(prefix)
            self.asked.append(name)
            tag = f'"{files.index(name):040x}"'
            self.reply((self.folder / name).read_bytes(), body=body, **{"X-Repo-Commit": COMMIT, "ETag": tag})
        else:
            self.reply(b"{}", status=404, body=body, **{"X-Error-Code": "RepoNotFound"})

    def reply(self, content: bytes, *, body: bool, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class calls it so)
        pass


@pytest.fixture
def hub(tmp_path: Path, tiny_folder: Path) -> Iterator[tuple[str, type[Hub]]]:
    """A Hub on loopback with the model them/tiny; its address and what it was asked for."""
    shutil.copytree(tiny_folder, tmp_path / "repository")
    (tmp_path / "repository" / "training.log").write_text("not part of the bundle\n")
    handler = type("Handler", (Hub,), {"folder": tmp_path / "repository", "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
        server.shutdown()
        thread.join()


# Another process: huggingface_hub reads its settings when it is imported.
FIND = """
import sys
from m3ser.errors import BundleError
from m3ser.inference.catalogue import find_bundle, name_of
for name in sys.argv[1:]:
    try:
        bundle = find_bundle(name)
    except BundleError as error:
        print("BundleError", error)
    else:
        print(bundle.manifest.full_name, sorted(path.name for path in bundle.folder.iterdir()))
"""


@pytest.fixture
def find_elsewhere(tmp_path: Path) -> Callable[..., list[str]]:
    """What find_bundle says, a line for each name, with the Hub at the address given."""

    def find(endpoint: str, *names: str, offline: bool = False) -> list[str]:
        settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "cache"), "NO_PROXY": "127.0.0.1"}
        settings |= {"HF_HUB_OFFLINE": "1" if offline else "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        result = subprocess.run(
            [sys.executable, "-c", FIND, *names],
            cwd=tmp_path,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines()

    return find


def test_found_on_the_hub(hub: tuple[str, type[Hub]], find_elsewhere: Callable[..., list[str]]) -> None:
    address, handler = hub
    found, revision, unknown, gated = find_elsewhere(address, "them/tiny", "them/tiny@v9", "them/huge", "gated/model")
    files = "['README.md', 'audio_encoder.onnx', 'bundle.json', 'fusion.onnx', 'text_encoder.onnx', 'tokenizer.json']"
    assert found == f"tiny@3 {files}"
    assert "training.log" not in handler.asked
    assert revision == "BundleError Hugging Face Hub model 'them/tiny' has no revision 'v9'."
    assert "has no public model 'them/huge'" in unknown
    assert "whom its owner admits" in gated
    # From the cache, with the Hub out of reach.
    assert find_elsewhere(address, "them/tiny", offline=True) == [found]


def test_damage_on_the_hub_is_found(hub: tuple[str, type[Hub]], find_elsewhere: Callable[..., list[str]]) -> None:
    address, handler = hub
    (handler.folder / "fusion.onnx").write_bytes(b"cut off")
    (answer,) = find_elsewhere(address, "them/tiny")
    assert answer.startswith("BundleError File 'fusion.onnx' of bundle")
    assert "7 bytes" in answer


def test_hub_out_of_reach(find_elsewhere: Callable[..., list[str]]) -> None:
    (answer,) = find_elsewhere("http://127.0.0.1:9", "them/tiny")
    assert answer.startswith("BundleError Bundle 'them/tiny' is not a folder here and could not be fetched")


def test_other_classes_are_asked_for_after_a_colon(bundled: Path, tiny_folder: Path, sound: Any) -> None:
    tiny = Bundle.open(tiny_folder)
    head = HeadPart(
        scheme="basic7",
        labels=("neutral", "fearful", "disgusted", "surprised"),
        temperature=tiny.manifest.temperature,
        fusion=FusionPart(graph="fusion-basic7.onnx"),
    )
    files: dict[str, Path | bytes] = {name: tiny.path(name) for name in tiny.manifest.files}
    files["fusion-basic7.onnx"] = tiny.path(tiny.manifest.fusion.graph)
    write_bundle(bundled / "two", tiny.manifest.model_copy(update={"heads": (head,), "files": {}}), files)

    usual, other = (
        load(name, transcriber=None).predict(sound(1.0), sample_rate=16_000) for name in ("two", "two:basic7")
    )
    assert (usual.model, other.model) == ("tiny@3", "tiny@3:basic7")
    assert tuple(other.scores) == head.labels
    assert list(other.scores.values()) == list(usual.scores.values())
    assert find_bundle("two:iemocap4").manifest.labels == tiny.manifest.labels
    assert find_bundle(bundled / "two:basic7").manifest.labels == head.labels


def test_bundles_that_come_along_share_the_starters_files(bundled: Path, tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, bundled / "starter")
    (bundled / "small" / "text_encoder.onnx").unlink()
    for name in ("small", bundled / "small"):
        found = find_bundle(name)
        assert found.path("text_encoder.onnx") == bundled / "starter" / "text_encoder.onnx"
        assert found.path("fusion.onnx") == bundled / "small" / "fusion.onnx"
    shutil.copytree(bundled / "small", "elsewhere")
    with pytest.raises(BundleError, match="lacks its file"):
        find_bundle("elsewhere")


def test_a_bundle_is_found_again_by_its_name(bundled: Path, tiny_folder: Path) -> None:
    assert name_of(find_bundle("small")) == "small"
    assert name_of(find_bundle(tiny_folder)) == str(tiny_folder)
    tiny = find_bundle(tiny_folder)
    assert name_of(replace(tiny, head="basic7")) == f"{tiny_folder}:basic7"


def test_classes_that_a_bundle_lacks_are_refused(bundled: Path) -> None:
    with pytest.raises(UsageError, match=r"'tiny@3' has no classes of the scheme 'basic7'; it has iemocap4\.$"):
        find_bundle("small:basic7")


def test_other_colons_are_a_folders_own(bundled: Path, tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, "run:basic7")
    assert find_bundle("./run:basic7").folder == Path("run:basic7")
    shutil.copytree(tiny_folder, "mine:2")
    assert find_bundle("./mine:2").folder == Path("mine:2")
