"""What systems cost: sizes and operations against other ways to count them; times that say what they are of."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.errors import DataError  # noqa: E402
from m3ser.evaluation.report.costs import Costs, costs_chapters  # noqa: E402
from m3ser.evaluation.report.markdown import chapters_markdown  # noqa: E402
from m3ser.training import costing  # noqa: E402
from m3ser.training.encoding import load_encoders  # noqa: E402
from m3ser.training.recipe import Recipe  # noqa: E402
from m3ser.training.recipe_file import load_recipe  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def recipes(tiny_encoders: Path) -> list[tuple[str, Recipe]]:
    sources = [f"audio_encoder.source={tiny_encoders}/whisper", "audio_encoder.layer=[1, 2]"]
    sources.append(f"text_encoder.source={tiny_encoders}/bert")
    names = ("server", "mdre", "are", "tre")
    return [(name, load_recipe(f"zoo/emodb/{name}", sources)) for name in names]


@pytest.fixture(scope="module")
def costs(recipes: list[tuple[str, Recipe]]) -> Costs:
    return costing.measure_costs(recipes, repeats=3)


def test_states_are_those_of_the_utterance(costs: Costs) -> None:
    found = {one.system: (one.audio_states, one.text_states) for one in costs.systems}
    # 3 s in windows of 0.96 s and of 0.24 s; 20 tokens, or one pooled state.
    assert found == {"server": (4, 1), "mdre": (13, 20), "are": (13, 0), "tre": (0, 20)}


def test_sizes_are_those_of_the_parts(costs: Costs, recipes: list[tuple[str, Recipe]]) -> None:
    for one, (name, recipe) in zip(costs.systems, recipes, strict=True):
        encoders = load_encoders(recipe)
        built = models.build(name, text_dim=16, audio_dim=64, num_labels=4, **recipe.model.options)
        assert one.fusion_parameters == sum(weight.numel() for weight in built.parameters())
        parts = [encoder for encoder in (encoders.audio, encoders.text) if encoder is not None]
        assert one.encoder_parameters == sum(w.numel() for part in parts for w in part.parameters())
        assert (one.tier, one.source) == (models.system(name).tier, models.system(name).source)


def test_operations_of_an_encoder_by_hand(costs: Costs) -> None:
    """Of the tiny BERT: 2 layers of width 16, 24 inside, 20 tokens; and the layer behind its first position."""
    tokens, width, inner = 20, 16, 24
    layer = 4 * tokens * width * width + 2 * tokens * tokens * width + 2 * tokens * width * inner
    words = next(one for one in costs.systems if one.system == "tre")
    assert words.encoder_flops in (2 * 2 * layer, 2 * (2 * layer + width * width))
    voice = next(one for one in costs.systems if one.system == "are")
    both = next(one for one in costs.systems if one.system == "mdre")
    assert both.encoder_flops == words.encoder_flops + voice.encoder_flops


def test_operations_of_a_gru_by_hand(costs: Costs) -> None:
    words = next(one for one in costs.systems if one.system == "tre")
    assert words.fusion_flops == 2 * (20 * 3 * 200 * (16 + 200) + 200 * 4)


def test_times_are_in_order_and_threads_as_before(recipes: list[tuple[str, Recipe]]) -> None:
    before = torch.get_num_threads()
    told: list[None] = []
    found = costing.measure_costs(recipes[-1:], repeats=3, progress=lambda: told.append(None))
    assert torch.get_num_threads() == before
    assert len(told) == 1 + 3
    (one,) = found.systems
    for timing in (one.alone, one.batched):
        assert 0 < timing.low <= timing.median <= timing.high


def test_they_come_back_from_their_file_and_go_into_words(costs: Costs) -> None:
    assert Costs.from_json(costs.to_json(), "costs") == costs
    assert [one.system for one in costs.of(["tre", "server"]).systems] == ["tre", "server"]
    text = chapters_markdown("Costs", costs_chapters(costs))
    tre = costs.systems[-1]
    whole = tre.fusion_parameters + tre.encoder_parameters
    assert f"| tre | 0 | 20 | {tre.fusion_parameters:,} | {whole:,} | " in text
    assert costs.hardware in text.replace("\\", "")
    for damaged in ("", "[]", "{}", costs.to_json().replace('"median"', '"mean"')):
        with pytest.raises(DataError, match="The file is damaged; delete it"):
            Costs.from_json(damaged, "The file")
