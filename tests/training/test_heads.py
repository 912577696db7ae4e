"""Heads: nobody judges one whom its encoders have heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser.errors import DataError, RecipeError
from m3ser.training import load_recipe
from m3ser.training.corpus import prepare
from m3ser.training.heads import train_heads
from m3ser.training.run import train

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_speaker_who_was_trained_on_judges_no_head(paired_corpora: Path, tiny_encoders: Path, tmp_path: Path) -> None:
    settings = [
        f"data.root={paired_corpora}",
        "data.voices={emodb: emodb}",
        "data.sentences={goemotions: goemotions}",
        "data.per_clip=1",
        f"audio_encoder={{kind: whisper, source: {tiny_encoders / 'whisper'}, step_seconds: 0.2}}",
        f"text_encoder={{kind: text, source: {tiny_encoders / 'bert'}}}",
        "model.options={fusion_dim: 16, num_heads: 2}",
        "training.epochs=1",
        "training.pairs_per_epoch=8",
    ]
    recipe = load_recipe("starter", settings)
    trained = train(recipe, prepare(recipe.data), tmp_path / "run", cache=tmp_path / "cache")
    (head,) = train_heads(trained, cache=tmp_path / "cache")
    assert head.fusion.config.labels == head.recipe.data.emotion_scheme.classes
    assert head.encoders is trained.encoders, "frozen ones need no copies"

    everybody = tuple(replace(one, split="train") for one in trained.utterances)
    with pytest.raises(DataError, match=r"^Speakers that the model was trained on would judge its head: emodb/"):
        train_heads(replace(trained, utterances=everybody), cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["bundle.heads=[{scheme: iemocap4}]"], "each can be there once"),
        (["bundle.heads=[{scheme: basic7}, {scheme: basic7}]"], "each can be there once"),
        (["bundle.heads=[{scheme: moods}]"], "There is no emotion scheme 'moods'"),
        (["audio_encoder.combine=mix", "training.profiles=0"], "a mix of layers learns with one model alone"),
    ],
)
def test_heads_that_cannot_be_are_refused(settings: list[str], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load_recipe("starter", settings)
