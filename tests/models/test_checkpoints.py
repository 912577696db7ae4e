from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from m3ser import models  # noqa: E402
from m3ser.errors import CheckpointError  # noqa: E402
from m3ser.models.three_m_ser import ThreeMSer  # noqa: E402

SIZES = {"text_dim": 32, "audio_dim": 16, "num_labels": 4}
LABELS = ("angry", "happy", "sad", "neutral")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return models.build("3m-ser-ln", **SIZES, labels=LABELS, num_heads=4, dropout=0.25, fusion_dim=24)


@pytest.fixture
def folder(model, tmp_path):
    return models.save(model, tmp_path / "checkpoint")


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.update(changes)
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def edit_weights(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize("name", models.names())
def test_saved_and_loaded_it_is_the_same(name, tmp_path):
    saved = models.build(name, **SIZES, labels=LABELS).eval()
    models.save(saved, tmp_path / "model")
    loaded = models.load(tmp_path / "model")
    assert type(loaded) is type(saved)
    assert not loaded.training
    assert loaded.config.system == name
    assert loaded.config.labels == LABELS
    assert loaded.config.to_dict().keys() == saved.config.to_dict().keys()
    batch = (torch.randn(3, 5, 32), None, torch.randn(3, 2, 16), None)
    assert torch.equal(loaded(*batch).logits, saved(*batch).logits)
    assert sorted(file.name for file in (tmp_path / "model").iterdir()) == ["config.json", "model.safetensors"]


def test_options_are_kept(folder):
    config = models.load(folder).config
    assert (config.num_heads, config.dropout, config.hidden_dim, config.fusion_dim) == (4, 0.25, 64, 24)
    assert json.loads((folder / "config.json").read_text())["m3ser_format"] == 1


@pytest.mark.parametrize("labels", [("yes", "no"), None, [f"emotion {i}" for i in range(12)]])
def test_labels_keep_their_order(labels, tmp_path):
    count = 2 if labels is None else len(labels)
    model = models.build("server", text_dim=8, audio_dim=8, num_labels=count, labels=labels)
    loaded = models.load(models.save(model, tmp_path / "model"))
    assert loaded.config.labels == model.config.labels == tuple(labels or ("LABEL_0", "LABEL_1"))


def test_transformers_own_methods_work_too(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = ThreeMSer.from_pretrained(tmp_path)
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)
    half = ThreeMSer.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16


def test_saving_over_a_checkpoint_replaces_it_and_keeps_other_files(model, folder):
    (folder / "notes.txt").write_text("mine")
    with torch.no_grad():
        model.classifer.bias.fill_(7.0)
    models.save(model, folder)
    assert (models.load(folder).classifer.bias == 7).all()
    assert (folder / "notes.txt").read_text() == "mine"
    assert [file.name for file in folder.parent.iterdir()] == ["checkpoint"]


def test_nothing_is_left_of_a_save_that_fails(model, tmp_path, monkeypatch):
    def full_disk(folder, *args, **kwargs):
        Path(folder).mkdir()
        (Path(folder) / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save_pretrained", full_disk)
    with pytest.raises(CheckpointError, match=r"cannot be saved in .*checkpoint: No space left on device"):
        models.save(model, tmp_path / "checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_saving_where_a_file_is(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be saved in"):
        models.save(model, tmp_path / "file")
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_saving_without_permission(model, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied"):
        models.save(model, tmp_path / "checkpoint")


def test_not_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere does not exist; a checkpoint is a folder"):
        models.load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="file is a file; a checkpoint is a folder"):
        models.load(tmp_path / "file")
    with pytest.raises(CheckpointError, match=r"not an m3ser checkpoint: it holds no config\.json"):
        models.load(tmp_path)


def test_a_config_that_is_not_json(folder):
    (folder / "config.json").write_text('{"model_type": "m3s')
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        models.load(folder)
    (folder / "config.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        models.load(folder)
    (folder / "config.json").write_text("[1, 2]")
    with pytest.raises(CheckpointError, match="not an m3ser checkpoint"):
        models.load(folder)


def test_another_librarys_model(tmp_path):
    from transformers import BertConfig, BertModel

    BertModel(
        BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=11)
    ).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"not an m3ser checkpoint: its config\.json has model_type 'bert'"):
        models.load(tmp_path)
    with pytest.raises(CheckpointError, match="model_type 'bert'"):
        ThreeMSer.from_pretrained(tmp_path)


def test_another_of_our_models(tmp_path):
    models.save(models.build("server", **SIZES), tmp_path / "server")
    with pytest.raises(CheckpointError, match="model of type 'm3ser-server'; 'm3ser-3m-ser' was expected"):
        ThreeMSer.from_pretrained(tmp_path / "server")


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_another_format_version(folder, version):
    edit_config(folder, m3ser_format=version)
    with pytest.raises(CheckpointError, match=rf"is of checkpoint format {version!r}; .* reads format 1"):
        models.load(folder)


def test_a_system_of_the_future(folder):
    edit_config(folder, system="9m-ser")
    with pytest.raises(CheckpointError, match="holds the system '9m-ser'; this version of m3ser knows 3m-ser, "):
        models.load(folder)
    with pytest.raises(CheckpointError, match="makes no sense: ThreeMSerConfig configures"):
        ThreeMSer.from_pretrained(folder)


def test_impossible_sizes_in_the_config(folder):
    edit_config(folder, num_heads=5)
    with pytest.raises(CheckpointError, match=r"config\.json of .* makes no sense: text_dim is 32, which 5"):
        models.load(folder)


@pytest.mark.parametrize("change", [{"id2label": ["angry"]}, {"hidden_dim": 5}, {"num_heads": "4"}])
def test_a_config_with_values_that_cannot_be(folder, change):
    edit_config(folder, **change)
    with pytest.raises(CheckpointError):
        models.load(folder)


def test_missing_weights(folder):
    edit_weights(folder, lambda weights: weights.pop("classifer.bias"))
    with pytest.raises(CheckpointError, match=r"does not fit the graph: missing classifer\.bias\.$"):
        models.load(folder)


def test_unexpected_weights(folder):
    edit_weights(folder, lambda weights: weights.update({"gate.weight": torch.zeros(3)}))
    with pytest.raises(CheckpointError, match=r"does not fit the graph: unexpected gate\.weight\.$"):
        models.load(folder)


def test_weights_of_another_shape(folder):
    edit_weights(folder, lambda weights: weights.update({"classifer.weight": torch.zeros(7, 64)}))
    with pytest.raises(CheckpointError, match=r"classifer\.weight is (\(7, 64\)|of another shape), not \(4, 64\)"):
        models.load(folder)


@pytest.mark.parametrize("keep", [0, 4, 40, 5000])
def test_truncated_weights(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="damaged"):
        models.load(folder)


def test_weights_that_are_something_else(folder):
    (folder / "model.safetensors").write_bytes(b"<!DOCTYPE html><html>not found</html>" * 20)
    with pytest.raises(CheckpointError, match="damaged"):
        models.load(folder)


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"holds no model\.safetensors\.$"):
        models.load(folder)


def test_pickles_are_not_opened(folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    (folder / "model.safetensors").unlink()
    torch.save(Bomb(), folder / "pytorch_model.bin")
    for load in (
        models.load,
        ThreeMSer.from_pretrained,
        lambda one: ThreeMSer.from_pretrained(one, use_safetensors=False),
    ):
        with pytest.raises(CheckpointError, match=r"only pytorch_model\.bin, and m3ser opens no pickles"):
            load(folder)
    assert not (tmp_path / "exploded").exists()


def test_a_failed_load_is_one_sentence_without_a_report(folder):
    printed: list[logging.LogRecord] = []
    listener = logging.Handler()
    listener.emit = printed.append
    logger = logging.getLogger("transformers.modeling_utils")
    logger.addHandler(listener)
    try:
        edit_weights(folder, lambda weights: weights.pop("classifer.bias"))
        with pytest.raises(CheckpointError) as failure:
            models.load(folder)
    finally:
        logger.removeHandler(listener)
    assert "\n" not in str(failure.value)
    assert [record.getMessage() for record in printed] == []
