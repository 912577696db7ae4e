from __future__ import annotations

import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from m3ser.encoders.weights import load_weights, read_state_dict, read_torch_file  # noqa: E402
from m3ser.errors import CheckpointError  # noqa: E402

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_named_tensors_are_read(tmp_path, kind):
    if kind == "safetensors":
        path = tmp_path / "weights.safetensors"
        save_file(STATE, path)
    else:
        path = tmp_path / "weights.pth"
        torch.save(STATE, path, _use_new_zipfile_serialization=kind == "zip")
    found = read_state_dict(path)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], value) for name, value in STATE.items())


@pytest.mark.parametrize("kind", ["zip", "legacy"])
@pytest.mark.parametrize("place", ["value", "whole"])
def test_a_pickle_that_runs_code_is_refused(tmp_path, kind, place):
    path, sprung = tmp_path / "weights.pth", tmp_path / "sprung"
    trap = Trap(sprung)
    content = trap if place == "whole" else STATE | {"trap": trap}
    torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(CheckpointError, match=r"is refused: .* could run code"):
        read_state_dict(path)
    assert not sprung.exists()
    torch.load(path, weights_only=False)  # the trap was a real one
    assert sprung.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x03\x04 not a zip file", b"some text\n" * 50, b"\xff" * 500])
def test_a_file_of_something_else_is_an_error(tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=str(path)):
        read_state_dict(path)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_a_truncated_file_is_an_error(tmp_path, kind):
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=str(path)):
            read_state_dict(path)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
        read_state_dict(tmp_path / name)


@pytest.mark.parametrize("content", [[torch.ones(2)], {"weight": 3}, torch.ones(2), "text"])
def test_anything_but_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="expected a dictionary of named tensors"):
        read_state_dict(tmp_path / "weights.pth")
    read_torch_file(tmp_path / "weights.pth")


def test_weights_that_fit_are_loaded():
    module = torch.nn.Linear(3, 2)
    load_weights(module, STATE, source="here")
    assert torch.equal(module.weight, STATE["weight"])


def test_weights_that_do_not_fit_are_listed_and_nothing_is_loaded():
    module = torch.nn.Linear(3, 2)
    before = module.bias.clone()
    state = {"bias": torch.ones(2), "weight": torch.ones(3, 2), **{f"more{n}": torch.ones(1) for n in range(6)}}
    with pytest.raises(CheckpointError) as caught:
        load_weights(module, state, source="there.pth")
    assert str(caught.value) == (
        "The weights of there.pth do not fit Linear: "
        "unexpected: more0, more1, more2, more3 and 2 more; of another shape: weight."
    )
    with pytest.raises(CheckpointError, match=r"missing: weight\.$"):
        load_weights(module, {"bias": torch.ones(2)}, source="there.pth")
    assert torch.equal(module.bias, before)
