"""For every encoder: a padded batch gives what each utterance gives alone, whatever stands in the padding."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from m3ser.encoders import AcousticEncoder, VGGishEncoder, lengths_to_mask  # noqa: E402

SPEECH = [
    *("wav2vec2", "wav2vec2-large", "hubert", "hubert-large", "wavlm", "wavlm-large", "unispeech", "unispeech-sat"),
    *("data2vec-audio", "wav2vec2-conformer"),
]
TEXT = ["bert", "roberta", "xlm-roberta", "deberta-v2", "modernbert", "electra", "mpnet", "albert"]
GARBAGE = st.sampled_from([0.0, 1e4, -1e30, float("inf"), float("nan")])


def few(examples: int):
    return settings(
        max_examples=examples,
        deadline=None,
        # The fixtures are read only.
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def check(encoder, sequence: torch.Tensor, lengths: list[int], *, tolerance: float = 1e-5) -> None:
    """`sequence` is padded with garbage beyond each of the `lengths`."""
    mask = lengths_to_mask(torch.tensor(lengths), steps=sequence.shape[1])
    with torch.no_grad():
        states, states_mask = encoder(sequence, mask)
        assert torch.isfinite(states).all()
        assert torch.count_nonzero(states[~states_mask]) == 0
        for row, length in enumerate(lengths):
            if length == 0:
                assert not states_mask[row].any()
                continue
            alone, alone_mask = encoder(sequence[row : row + 1, :length], mask[row : row + 1, :length])
            assert int(states_mask[row].sum()) == int(alone_mask.sum())
            if not alone_mask.any():  # shorter than what one state needs
                continue
            assert alone_mask.all()
            torch.testing.assert_close(states[row, : alone.shape[1]], alone[0], rtol=tolerance, atol=tolerance)


def padded(shape: tuple[int, ...], lengths: list[int], garbage: float, seed: int) -> torch.Tensor:
    sequence = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    sequence[~lengths_to_mask(torch.tensor(lengths), steps=shape[1])] = garbage
    return sequence


@few(20)
@given(
    lengths=st.lists(st.integers(0, 80), min_size=1, max_size=4),
    garbage=GARBAGE,
    seed=st.integers(0, 1000),
    options=st.sampled_from(
        [
            {},
            {"layer": [0, 2]},
            {"layer": [1, 3], "combine": "mean", "step_seconds": 0.1},
            {"layer": 2, "step_seconds": 0.14, "statistics": "mean+std"},
        ]
    ),
)
def test_whisper(small_whisper, lengths, garbage, seed, options):
    sequence = padded((len(lengths), max(*lengths, 1), 10), lengths, garbage, seed)
    check(small_whisper(**options), sequence, lengths)


@few(30)
@given(
    lengths=st.lists(st.integers(0, 3000), min_size=1, max_size=3),
    garbage=GARBAGE,
    seed=st.integers(0, 1000),
    kind=st.sampled_from(SPEECH),
    options=st.sampled_from(
        [
            {},
            {"combine": "mix"},
            {"layer": [0, 2], "step_seconds": 0.06, "statistics": "mean+std"},
            {"layer": [1, 3], "combine": "mean"},
        ]
    ),
)
def test_waveforms(small_speech, lengths, garbage, seed, kind, options):
    sequence = padded((len(lengths), max(*lengths, 1)), lengths, garbage, seed)
    check(small_speech(kind, **options), sequence, lengths, tolerance=1e-4)


@few(20)
@given(
    lengths=st.lists(st.integers(0, 128), min_size=1, max_size=3),
    garbage=GARBAGE,
    seed=st.integers(0, 1000),
    kind=st.sampled_from([("wav2vec2-bert", 160, 0.06), ("audio-spectrogram-transformer", 128, 0.2)]),
    pooled=st.booleans(),
)
def test_spectrograms(small_speech, lengths, garbage, seed, kind, pooled):
    name, bands, step = kind
    sequence = padded((len(lengths), max(*lengths, 1), bands), lengths, garbage, seed)
    options = {"step_seconds": step, "statistics": "mean+std"} if pooled else {"combine": "mix"}
    check(small_speech(name, **options), sequence, lengths, tolerance=1e-4)


@few(20)
@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    garbage=GARBAGE,
    seed=st.integers(0, 1000),
    front_end=st.sampled_from(["mfcc39", "mfcc40+egemaps", "egemaps"]),
    normalise=st.booleans(),
    keep=st.sampled_from([None, 7]),
)
def test_acoustic(lengths, garbage, seed, front_end, normalise, keep):
    encoder = AcousticEncoder(front_end, normalise=normalise, keep=keep)
    sequence = padded((len(lengths), max(*lengths, 1), encoder.dim), lengths, garbage, seed)
    check(encoder, sequence, lengths)


@few(5)
@given(lengths=st.lists(st.integers(0, 3), min_size=1, max_size=3), garbage=GARBAGE, seed=st.integers(0, 1000))
def test_vggish(vggish, lengths, garbage, seed):
    sequence = padded((len(lengths), max(*lengths, 1), 96, 64), lengths, garbage, seed)
    check(VGGishEncoder(vggish), sequence, lengths)


@few(20)
@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    garbage=st.sampled_from([0, 7, 49, -1, 10**12]),
    seed=st.integers(0, 1000),
    options=st.sampled_from(
        [
            {"kind": "bert", "pooled": True},
            {"kind": "roberta", "pooled": True},
            *({"kind": kind} for kind in TEXT),
            {"kind": "xlm-roberta", "options": {"combine": "mix"}},
            {"kind": "modernbert", "options": {"layer": [0, 1], "combine": "mean"}},
        ]
    ),
)
def test_text(small_text, lengths, garbage, seed, options):
    encoder = small_text(**options)
    shape = (len(lengths), max(*lengths, 1))
    input_ids = torch.randint(2, 50, shape, generator=torch.Generator().manual_seed(seed))
    input_ids[~lengths_to_mask(torch.tensor(lengths), steps=shape[1])] = garbage
    check(encoder, input_ids, lengths)
