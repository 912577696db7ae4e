"""Systems of one's own: what a file, its name and its class must be, and that nothing else can name such a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.errors import CheckpointError, UsageError  # noqa: E402
from m3ser.models import own, registry  # noqa: E402

SIZES = {"text_dim": 6, "audio_dim": 4, "num_labels": 3}
FILE = """\
from torch import nn
from m3ser.models import Classified, FusionModel, register


@register("{name}", description="sums of the voice", parameters=lambda t, a, n: a * n + n, source="nowhere")
class Sums(FusionModel):
    modalities = ("audio",)

    def __init__(self, config):
        super().__init__(config)
        self.linear = nn.Linear(config.audio_dim, len(config.labels))
        self.post_init()

    def classify(self, text, audio, *, output_attentions):
        return Classified(self.linear(audio.total()))
"""


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_own", {})
    monkeypatch.setattr(own, "_loaded", {})
    monkeypatch.delenv(own.ENVIRONMENT, raising=False)


def named(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setenv(own.ENVIRONMENT, os.pathsep.join(map(str, paths)))


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_system_without_options_needs_no_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, written(tmp_path / "my sums.py", FILE.format(name="sums")))
    model = models.build("sums", **SIZES)
    assert model.config_class.option_names() == ()
    assert model.config.model_type == "m3ser-sums"
    assert models.system("sums").source == "nowhere"
    assert models.FusionConfig.systems == ()
    assert models.names() == (*models.SYSTEMS, "sums")
    loaded = models.load(models.save(model, tmp_path / "model"))
    assert torch.equal(loaded.linear.weight, model.linear.weight)


def test_several_files_even_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [written(tmp_path / name / "model.py", FILE.format(name=name)) for name in ("one", "two")]
    named(monkeypatch, *files)
    assert models.names()[-2:] == ("one", "two")
    assert models.system("one").model_class() is not models.system("two").model_class()
    assert type(models.build("one", **SIZES)) is models.system("one").model_class()


def test_it_is_imported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = tmp_path / "count"
    line = f"with open({str(count)!r}, 'a') as file: file.write('x')\n"
    named(monkeypatch, written(tmp_path / "sums.py", FILE.format(name="sums") + line))
    models.names()
    models.build("sums", **SIZES)
    assert count.read_text() == "x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_thing_at_all\n", r"cannot be imported: ModuleNotFoundError: No module named 'no_such_thing"),
        ("def broken(:\n", r"cannot be imported: SyntaxError: .*line 1"),
        (FILE.format(name="server"), r"There is a model 'server' already; @register needs another name"),
        (FILE.format(name="Sums!"), r"cannot be called 'Sums!'; lower-case letters, digits and hyphens"),
        (FILE.format(name="sums").replace("FusionModel)", "object)"), r"a subclass of FusionModel was expected"),
    ],
)
def test_a_file_that_will_not_do(text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, written(tmp_path / "mine.py", text))
    for _ in range(2):
        with pytest.raises(UsageError, match=says):
            models.names()
    assert [name for name in sys.modules if name.startswith("m3ser_own_mine")] == []


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, tmp_path / "nowhere.py")
    with pytest.raises(UsageError, match=r"nowhere\.py', which M3SER_MODELS names, is not there\.$"):
        models.names()
    named(monkeypatch, tmp_path)
    with pytest.raises(UsageError, match="is not a file; a Python file was expected"):
        models.names()
    named(monkeypatch, written(tmp_path / "notes.txt", ""))
    with pytest.raises(UsageError, match=r"notes\.txt', which M3SER_MODELS names, is no Python file"):
        models.names()


def test_one_class_has_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = FILE.format(name="sums") + "\nregister('more', description='', parameters=None)(Sums)\n"
    named(monkeypatch, written(tmp_path / "sums.py", twice))
    with pytest.raises(UsageError, match="Sums is registered as 'sums' already; a model has one name"):
        models.names()


def test_a_class_inside_of_something_is_refused() -> None:
    class Inside(models.FusionModel):
        pass

    with pytest.raises(UsageError, match="Inside is inside of something"):
        models.register("inside", description="", parameters=lambda *_: 0)(Inside)


def test_a_published_class_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heir = (
        "from m3ser.models import register\nfrom m3ser.models.server import Server\n\n"
        "@register('server-too', description='', parameters=lambda *_: 0)\nclass Too(Server):\n    pass\n"
    )
    named(monkeypatch, written(tmp_path / "heir.py", heir))
    assert models.build("server-too", **SIZES, hidden_dim=5).config.hidden_dim == 5
    assert models.build("server", **SIZES).config.model_type == "m3ser-server"


def test_a_checkpoint_cannot_bring_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment does not name the file, its checkpoint is refused, whatever lies or stands in there."""
    file = written(tmp_path / "sums.py", FILE.format(name="sums"))
    named(monkeypatch, file)
    folder = models.save(models.build("sums", **SIZES), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert "sums.py" not in json.dumps(config)
    bomb = f"open({str(tmp_path / 'exploded')!r}, 'w')\n"
    for name in ("sums.py", "modeling.py", "conftest.py"):
        written(folder / name, bomb)
    config["auto_map"] = {"AutoModel": "modeling.Sums", "AutoConfig": "modeling.Sums"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    code = (
        "import sys\nfrom m3ser import errors, models\n"
        "try: models.load(sys.argv[1])\nexcept errors.CheckpointError as error: print(error)\n"
    )
    bare = {key: value for key, value in os.environ.items() if key != own.ENVIRONMENT}
    command = [sys.executable, "-c", code, str(folder)]
    result = subprocess.run(command, env=bare, cwd=folder, capture_output=True, text=True, check=True)
    assert "holds the system 'sums'; this version of m3ser knows 3m-ser, " in result.stdout
    assert "M3SER_MODELS" in result.stdout
    models.load(folder)  # with the file named, what lies beside the weights is left alone as well
    assert not (tmp_path / "exploded").exists()


def test_an_own_system_that_is_not_named_any_more(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no model 'sums'; there are 3m-ser, .*, and those of the files that M3SER_MODELS names\.$"
    ):
        models.build("sums", **SIZES)
    models.save(models.build("server", **SIZES), tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "system": "sums"}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="holds the system 'sums'"):
        models.load(tmp_path / "model")


def test_fingerprints_are_of_the_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own.fingerprints() == {}
    named(monkeypatch, written(tmp_path / "sums.py", "x = 1\n"))
    before = own.fingerprints()
    written(tmp_path / "sums.py", "x = 2\n")
    assert before.keys() == own.fingerprints().keys() == {"sums.py"}
    assert before != own.fingerprints()
