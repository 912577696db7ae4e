"""Training voices are heard with their speaker's profile: what it adds, to whom, and how often."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

from m3ser.errors import RecipeError  # noqa: E402
from m3ser.schema import Utterance  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.augmentation import Changed  # noqa: E402
from m3ser.training.examples import Example, TrainingCollator  # noqa: E402
from m3ser.training.profiles import Shifts, shifts_of  # noqa: E402
from m3ser.training.recipe import ModalityRecipe  # noqa: E402
from m3ser.training.run import Trained  # noqa: E402
from m3ser.training.states import Recording  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def voices() -> tuple[list[Utterance], dict[Recording, np.ndarray]]:
    """Two corpora of two speakers each, whose emotions and speakers have states of their own."""
    rng = np.random.default_rng(0)
    said, states = [], {}
    for corpus, count in (("x", 3), ("y", 1)):
        for speaker in ("01", "02"):
            own = rng.normal(size=4)
            for emotion in ("angry", "sad"):
                for number in range(count):
                    path = Path(f"{corpus}{speaker}{emotion}{number}.wav")
                    known = {"corpus": corpus}
                    said += [Utterance(audio=path, emotion=emotion, speaker=speaker, extra=known)] * 2  # two sentences
                    states[Recording(path)] = (own + rng.normal(size=(number + 1, 4))).astype(np.float32)
    return said, states


def test_everybody_is_moved_from_how_they_sound_to_the_centre(
    voices: tuple[list[Utterance], dict[Recording, np.ndarray]],
) -> None:
    said, states = voices
    found = shifts_of(said, states)
    assert found.by_speaker.shape == (4, 4)
    mean = {recording: one.mean(axis=0, dtype=np.float64) for recording, one in states.items()}

    def usual(*beginnings: str) -> np.ndarray:
        own = [value for key, value in mean.items() if str(key.path).startswith(beginnings)]
        assert own
        return np.mean(own, axis=0)

    groups = [(f"{corpus}01{emotion}", f"{corpus}02{emotion}") for corpus in "xy" for emotion in ("angry", "sad")]
    centre = np.mean([usual(*group) for group in groups], axis=0)
    for recording in states:
        expected = centre - usual(str(recording.path)[:3])
        shift = found.of([recording], share=1.0)
        torch.testing.assert_close(shift[0].double(), torch.from_numpy(expected), atol=1e-6, rtol=1e-6)


def test_a_share_of_them_is() -> None:
    one, other = Recording(Path("a.wav")), Recording(Path("b.wav"))
    shifts = Shifts({one: 0, other: 1}, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    torch.manual_seed(0)
    found = shifts.of([one, other, None] * 2000, share=0.3).reshape(2000, 3, 2)
    for place, whole in ((0, [1.0, 2.0]), (1, [3.0, 4.0])):
        told = (found[:, place] == torch.tensor(whole)).all(dim=1)
        assert bool((told | (found[:, place] == 0).all(dim=1)).all())
        assert abs(told.float().mean() - 0.3) < 0.03
    assert bool((shifts.of([one, other], share=0.0) == 0).all())


def test_steps_are_moved_and_padding_is_not() -> None:
    long, short = Recording(Path("long.wav")), Recording(Path("short.wav"))
    copy = Changed(short.path, copy=1, changes=(("noise", 1.0),))
    table = {
        long: np.ones((3, 2), np.float32),
        short: np.ones((1, 2), np.float32),
        copy: 5 * np.ones((2, 2), np.float32),
    }
    shifts = Shifts({long: 0, short: 1}, torch.tensor([[10.0, 20.0], [30.0, 40.0]]))

    def hear(examples: list[Example]) -> list[Example]:
        return [Example(copy if one.audio == short else one.audio, None, 0) for one in examples]

    collator = TrainingCollator(
        table,
        None,
        nothing={"audio": np.zeros((0, 2), np.float32), "text": np.zeros((0, 1), np.float32)},
        modalities=ModalityRecipe(),
        state_dropout=0.0,
        hear=hear,
        shift=lambda recordings: shifts.of(recordings, share=1.0),
    )
    batch = collator([Example(long, None, 0), Example(short, None, 0), Example(None, "words", 0)])
    assert batch["audio"].tolist() == [[[11, 21]] * 3, [[35, 45], [35, 45], [0, 0]], [[0, 0]] * 3]


def test_a_training_with_profiles(run: Callable[..., Trained]) -> None:
    settings = ["training.profiles=0.5", "model.scale_audio=true"]
    first, same, plain = run(*settings, out="a"), run(*settings, out="b"), run(settings[1], out="c")
    one, other, usual = (load_file(t.folder / "model" / "model.safetensors") for t in (first, same, plain))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert set(one) == set(usual)
    assert any(not torch.equal(value, usual[name]) for name, value in one.items())


def test_an_encoder_that_learns_has_no_states_to_move(tiny_recipe: Path) -> None:
    with pytest.raises(RecipeError, match=r"training\.profiles move the states of an audio encoder that is frozen"):
        load_recipe(tiny_recipe, ["training.profiles=0.5", "audio_encoder.frozen=false"])
