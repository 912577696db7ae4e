"""The bundle's folder: written whole or not at all, and refused when anything about it is not as written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m3ser import __version__
from m3ser.bundle import (
    FORMAT,
    MANIFEST_NAME,
    AudioPart,
    Bundle,
    FusionPart,
    HeadPart,
    Manifest,
    Temperature,
    TextPart,
    read_manifest,
    write_bundle,
)
from m3ser.errors import BundleError, UsageError

FILES = {
    "audio_encoder.onnx": b"audio graph",
    "text_encoder.onnx": b"text graph",
    "fusion.onnx": b"fusion graph",
    "tokenizer.json": b"{}",
    "README.md": b"# Model card\n",
}


def make_manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "name": "tiny",
        "version": "1",
        "architecture": "3m-ser-ln",
        "scheme": "iemocap4",
        "labels": ("angry", "happy", "sad", "neutral"),
        "temperature": Temperature(both=1.5, audio=1.25, text=0.5),
        "audio": AudioPart(graph="audio_encoder.onnx", front_end="whisper80", dim=8),
        "text": TextPart(graph="text_encoder.onnx", tokenizer="tokenizer.json", max_tokens=128, dim=4, language="en"),
        "fusion": FusionPart(graph="fusion.onnx"),
        "precision": "fp32",
        "licence": "CC-BY-NC-SA-4.0",
        "data": ("EmoDB", "RAVDESS"),
        "scores": {"both": {"ua": 0.7}},
        "created_by": {"m3ser": __version__},
    }
    return Manifest(**(values | changes))


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "tiny", make_manifest(), FILES).folder


@pytest.fixture
def edit_manifest(bundle_folder: Path) -> Callable[[Callable[[dict[str, Any]], None]], None]:
    """Change the written bundle.json with a function of its content."""

    def edit(change: Callable[[dict[str, Any]], None]) -> None:
        path = bundle_folder / MANIFEST_NAME
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return edit


def assert_refused(folder: Path, *fragments: str) -> None:
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder)
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message
    assert "\n" not in message
    assert message.endswith(".")


class TestRoundTrip:
    def test_what_is_written_is_read_back(self, bundle_folder: Path) -> None:
        bundle = Bundle.open(bundle_folder)
        assert bundle.manifest.model_copy(update={"files": {}}) == make_manifest()
        assert bundle.manifest.full_name == "tiny@1"
        for name, content in FILES.items():
            assert bundle.path(name).read_bytes() == content
            record = bundle.manifest.files[name]
            assert (record.sha256, record.bytes) == (hashlib.sha256(content).hexdigest(), len(content))

    def test_files_may_be_given_as_paths(self, tmp_path: Path) -> None:
        source = tmp_path / "exported.onnx"
        source.write_bytes(FILES["fusion.onnx"])
        write_bundle(tmp_path / "tiny", make_manifest(), FILES | {"fusion.onnx": source})
        assert Bundle.open(tmp_path / "tiny").path("fusion.onnx").read_bytes() == FILES["fusion.onnx"]
        assert source.exists()

    def test_files_not_listed_are_left_alone(self, bundle_folder: Path) -> None:
        (bundle_folder / ".gitattributes").write_text("*.onnx filter=lfs\n")
        (bundle_folder / "setup.py").write_text("raise SystemExit('code ran')\n")
        assert set(Bundle.open(bundle_folder).manifest.files) == set(FILES)

    def test_manifest_can_be_read_without_the_files(self, bundle_folder: Path) -> None:
        (bundle_folder / "fusion.onnx").unlink()
        assert read_manifest(bundle_folder).full_name == "tiny@1"


SEVEN = ("angry", "happy", "sad", "neutral", "fearful", "disgusted", "surprised")


def make_head(**changes: Any) -> HeadPart:
    values: dict[str, Any] = {
        "scheme": "basic7",
        "labels": SEVEN,
        "temperature": Temperature(both=2.0),
        "fusion": FusionPart(graph="fusion-basic7.onnx"),
        "scores": {"both": {"ua": 0.5}},
    }
    return HeadPart(**(values | changes))


class TestHeads:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        files = FILES | {"fusion-basic7.onnx": b"another graph"}
        return write_bundle(tmp_path / "tiny", make_manifest(heads=(make_head(),)), files).folder

    def test_a_head_is_asked_for_by_its_scheme(self, folder: Path) -> None:
        bundle = Bundle.open(folder)
        assert bundle.manifest.schemes == ("iemocap4", "basic7")
        seven = bundle.with_head("basic7").manifest
        assert (seven.labels, seven.scheme, seven.full_name) == (SEVEN, "basic7", "tiny@1:basic7")
        assert (seven.temperature.both, seven.scores, seven.fusion.graph) == (
            2.0,
            {"both": {"ua": 0.5}},
            "fusion-basic7.onnx",
        )
        assert (seven.audio, seven.text, seven.licence) == (
            bundle.manifest.audio,
            bundle.manifest.text,
            "CC-BY-NC-SA-4.0",
        )
        assert bundle.with_head("iemocap4") == bundle

    def test_a_scheme_that_it_has_no_classes_of_is_refused(self, bundle_folder: Path) -> None:
        with pytest.raises(UsageError, match=r"'tiny@1' has no classes of the scheme 'basic7'; it has iemocap4\.$"):
            Bundle.open(bundle_folder).with_head("basic7")

    def test_its_graph_has_to_be_there(self, tmp_path: Path, folder: Path) -> None:
        with pytest.raises(BundleError, match=r"names fusion-basic7\.onnx"):
            write_bundle(tmp_path / "other", make_manifest(heads=(make_head(),)), FILES)
        (folder / "fusion-basic7.onnx").write_bytes(b"damaged graph")
        assert_refused(folder, "fusion-basic7.onnx", "is damaged")

    def test_two_answers_of_one_scheme_are_refused(self) -> None:
        with pytest.raises(ValueError, match="repeat themselves"):
            make_manifest(heads=(make_head(scheme="iemocap4"),))

    @pytest.mark.parametrize("labels", [("angry", "hungry"), ("angry", "angry")])
    def test_labels_are_emotions_each_once(self, labels: tuple[str, ...]) -> None:
        with pytest.raises(ValueError, match=r"are not emotions|repeat themselves"):
            make_head(labels=labels)


class TestSharing:
    """A bundle beside another one, which has the files that it lacks."""

    @pytest.fixture
    def lean(self, tmp_path: Path, bundle_folder: Path) -> Path:
        files = FILES | {"fusion.onnx": b"a fusion graph of its own"}
        folder = write_bundle(tmp_path / "lean", make_manifest(name="lean"), files).folder
        (folder / "text_encoder.onnx").unlink()
        return folder

    def test_what_it_lacks_is_the_other_ones(self, lean: Path, bundle_folder: Path) -> None:
        assert_refused(lean, "lacks its file 'text_encoder.onnx'")
        bundle = Bundle.open(lean, base=bundle_folder)
        assert bundle.path("text_encoder.onnx") == bundle_folder / "text_encoder.onnx"
        assert bundle.path("fusion.onnx") == lean / "fusion.onnx"

    def test_another_file_of_that_name_is_refused(self, lean: Path, bundle_folder: Path) -> None:
        (bundle_folder / "text_encoder.onnx").write_bytes(b"edit graph")
        with pytest.raises(BundleError, match=r"'text_encoder\.onnx' of bundle '.*tiny' is damaged"):
            Bundle.open(lean, base=bundle_folder)

    def test_nobody_has_it(self, lean: Path, bundle_folder: Path) -> None:
        (bundle_folder / "text_encoder.onnx").unlink()
        with pytest.raises(BundleError, match=r"lacks its file 'text_encoder\.onnx'"):
            Bundle.open(lean, base=bundle_folder)


class TestWriting:
    def test_existing_bundle_stays_unless_overwriting_is_asked_for(self, bundle_folder: Path) -> None:
        with pytest.raises(BundleError, match="already exists"):
            write_bundle(bundle_folder, make_manifest(version="2"), FILES)
        assert Bundle.open(bundle_folder).manifest.version == "1"
        write_bundle(bundle_folder, make_manifest(version="2"), FILES, overwrite=True)
        assert Bundle.open(bundle_folder).manifest.version == "2"
        assert [path.name for path in bundle_folder.parent.iterdir()] == ["tiny"]

    def test_folder_that_is_not_a_bundle_is_never_overwritten(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        home.mkdir()
        (home / "thesis.tex").write_text("years of work")
        with pytest.raises(BundleError, match="is not a bundle"):
            write_bundle(home, make_manifest(), FILES, overwrite=True)
        assert (home / "thesis.tex").read_text() == "years of work"

    def test_nothing_is_left_behind_when_a_source_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="cannot be written"):
            write_bundle(tmp_path / "tiny", make_manifest(), FILES | {"fusion.onnx": tmp_path / "never-exported.onnx"})
        assert list(tmp_path.iterdir()) == []

    def test_failed_overwrite_keeps_the_old_bundle(self, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        rename = Path.rename

        def fail_for_the_new_one(self: Path, target: Path) -> Path:
            if self.suffix == ".new":
                raise OSError(28, "No space left on device")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
        with pytest.raises(BundleError, match="No space left on device"):
            write_bundle(bundle_folder, make_manifest(version="2"), FILES, overwrite=True)
        assert Bundle.open(bundle_folder).manifest.version == "1"
        assert [path.name for path in bundle_folder.parent.iterdir()] == ["tiny"]

    def test_manifest_must_not_name_files_that_are_not_given(self, tmp_path: Path) -> None:
        files = {name: content for name, content in FILES.items() if name != "tokenizer.json"}
        with pytest.raises(BundleError, match=r"tokenizer\.json"):
            write_bundle(tmp_path / "tiny", make_manifest(), files)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["../evil", "a/b", "/etc/passwd", "..", "", ".hidden", "a\\b", MANIFEST_NAME])
    def test_file_names_are_plain(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(BundleError, match="plain file name"):
            write_bundle(tmp_path / "tiny", make_manifest(), FILES | {name: b""})
        assert list(tmp_path.iterdir()) == []


class TestRefusal:
    def test_folder_missing(self, tmp_path: Path) -> None:
        assert_refused(tmp_path / "nowhere", "nowhere", "does not exist")

    def test_not_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(b"graph")
        assert_refused(tmp_path / "model.onnx", "is not a folder")

    def test_not_a_bundle(self, tmp_path: Path) -> None:
        assert_refused(tmp_path, MANIFEST_NAME)

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 5000, b"{'format': 1}"])
    def test_not_json(self, bundle_folder: Path, content: bytes) -> None:
        (bundle_folder / MANIFEST_NAME).write_bytes(content)
        assert_refused(bundle_folder, "is not valid JSON")

    @pytest.mark.parametrize("content", [b"[]", b"null", b"{}", b'{"format": "1"}', b'{"format": true}'])
    def test_json_of_something_else(self, bundle_folder: Path, content: bytes) -> None:
        (bundle_folder / MANIFEST_NAME).write_bytes(content)
        assert_refused(bundle_folder, "not a bundle's manifest")

    def test_manifest_of_unreasonable_size(self, bundle_folder: Path) -> None:
        (bundle_folder / MANIFEST_NAME).write_bytes(b" " * (2 << 20))
        assert_refused(bundle_folder, "larger than")

    def test_newer_format_says_what_it_needs(self, bundle_folder: Path, edit_manifest: Any) -> None:
        def modernise(content: dict[str, Any]) -> None:
            content.update(format=FORMAT + 1, created_by={"m3ser": "9.1"}, hologram={"graph": "h.onnx"})

        edit_manifest(modernise)
        assert_refused(bundle_folder, f"format {FORMAT + 1}", f"format {FORMAT}", "m3ser 9.1 or later", __version__)

    def test_format_1_is_read_and_always_has_both_modalities(self, bundle_folder: Path, edit_manifest: Any) -> None:
        edit_manifest(lambda content: content.update(format=1))
        assert Bundle.open(bundle_folder).manifest.modalities == ("audio", "text")
        edit_manifest(lambda content: content.pop("text"))
        assert_refused(bundle_folder, "a bundle of format 1 has both")

    def test_a_model_looks_at_something(self, bundle_folder: Path, edit_manifest: Any) -> None:
        edit_manifest(lambda content: content.update(audio=None))
        assert Bundle.open(bundle_folder).manifest.modalities == ("text",)
        edit_manifest(lambda content: content.update(text=None))
        assert_refused(bundle_folder, "neither 'audio' nor 'text' is there")

    def test_unknown_keys_are_named(self, bundle_folder: Path, edit_manifest: Any) -> None:
        def add(content: dict[str, Any]) -> None:
            content["colour"] = "red"
            content["audio"]["hop"] = 160

        edit_manifest(add)
        assert_refused(bundle_folder, "'colour'", "'audio.hop'", "not a key")

    @pytest.mark.parametrize(
        ("key", "value", "fragment"),
        [
            ("labels", ["angry"], "'labels'"),
            ("labels", ["angry", "hangry"], "hangry"),
            ("labels", ["angry", "angry"], "repeat"),
            ("temperature", {"both": 0, "audio": 1, "text": 1}, "'temperature.both'"),
            ("temperature", {"both": "1.0", "audio": 1, "text": 1}, "'temperature.both'"),
            ("precision", "int4", "'precision'"),
            ("name", "../../name", "'name'"),
            ("fusion", {"graph": "../fusion.onnx"}, "plain file name"),
            ("fusion", {"graph": "unlisted.onnx"}, "unlisted.onnx"),
            ("files", {"/etc/passwd": {"sha256": "0" * 64, "bytes": 1}}, "plain file name"),
            ("files", {"fusion.onnx": {"sha256": "0" * 63, "bytes": 1}}, "sha256"),
        ],
    )
    def test_impossible_values(
        self, bundle_folder: Path, edit_manifest: Any, key: str, value: object, fragment: str
    ) -> None:
        edit_manifest(lambda content: content.update({key: value}))
        assert_refused(bundle_folder, fragment)

    def test_missing_keys_are_named(self, bundle_folder: Path, edit_manifest: Any) -> None:
        edit_manifest(lambda content: content.pop("licence"))
        assert_refused(bundle_folder, "'licence' is missing")

    def test_file_missing(self, bundle_folder: Path) -> None:
        (bundle_folder / "tokenizer.json").unlink()
        assert_refused(bundle_folder, "lacks its file 'tokenizer.json'")

    def test_file_truncated(self, bundle_folder: Path) -> None:
        (bundle_folder / "fusion.onnx").write_bytes(FILES["fusion.onnx"][:-1])
        assert_refused(bundle_folder, "'fusion.onnx'", "11 bytes", "12")

    def test_one_byte_changed(self, bundle_folder: Path) -> None:
        (bundle_folder / "fusion.onnx").write_bytes(FILES["fusion.onnx"].replace(b"fu", b"fU"))
        assert_refused(bundle_folder, "'fusion.onnx'", "SHA-256")

    def test_folder_in_place_of_a_file(self, bundle_folder: Path) -> None:
        (bundle_folder / "fusion.onnx").unlink()
        (bundle_folder / "fusion.onnx").mkdir()
        assert_refused(bundle_folder, "'fusion.onnx'", "not a regular file")

    @pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read everything")
    def test_file_without_permission(self, bundle_folder: Path) -> None:
        (bundle_folder / "fusion.onnx").chmod(0)
        assert_refused(bundle_folder, "'fusion.onnx'", "cannot be read")


class TestLinks:
    """A link may not lead out of the bundle, even to a file of the right content."""

    @pytest.fixture
    def outside(self, bundle_folder: Path) -> Path:
        outside = bundle_folder.parent / "blobs"
        outside.mkdir()
        shutil.move(bundle_folder / "fusion.onnx", outside / "0123")
        (bundle_folder / "fusion.onnx").symlink_to(outside / "0123")
        return outside

    def test_link_out_of_the_folder(self, bundle_folder: Path, outside: Path) -> None:
        assert_refused(bundle_folder, "'fusion.onnx'", "leads out of the bundle")

    def test_link_inside_a_wider_boundary(self, bundle_folder: Path, outside: Path) -> None:
        bundle = Bundle.open(bundle_folder, within=bundle_folder.parent)
        assert bundle.path("fusion.onnx").read_bytes() == FILES["fusion.onnx"]

    def test_link_to_itself(self, bundle_folder: Path) -> None:
        (bundle_folder / "fusion.onnx").unlink()
        (bundle_folder / "fusion.onnx").symlink_to("fusion.onnx")
        assert_refused(bundle_folder, "'fusion.onnx'")

    def test_dangling_link(self, bundle_folder: Path, outside: Path) -> None:
        (outside / "0123").unlink()
        assert_refused(bundle_folder, "lacks its file 'fusion.onnx'")

    def test_folder_reached_through_a_link_is_fine(self, bundle_folder: Path) -> None:
        link = bundle_folder.parent / "current"
        link.symlink_to(bundle_folder)
        assert Bundle.open(link).manifest.full_name == "tiny@1"
