"""Speech encoders of transformers, whatever they read: one class for a recipe, one beneath it for each kind of input.

Hidden states are numbered as for Whisper: 0 is the input of the first block, i the output of block i, and the last one
is the model's output.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from m3ser.encoders.base import AudioEncoder, freeze
from m3ser.encoders.layers import Combine, StateSelection
from m3ser.encoders.pooling import Statistics
from m3ser.encoders.transformers_models import blocks_of, load_model, parts_below, read_config, read_preprocessor
from m3ser.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["SAMPLE_RATE", "SpeechEncoder"]

SAMPLE_RATE = 16_000
# For pre-training and for adapters, neither of which is used here.
_UNUSED = ("adapter.", "intermediate_ffn.", "masked_spec_embed")


class SpeechEncoder(AudioEncoder):
    """Speech to a sequence of states or, pooled, one for every `step_seconds`. Made by :meth:`of` or from a source.

    Blocks above the highest one asked for are left out of the module. In training, neither SpecAugment nor LayerDrop is
    applied.

    Args:
        model: an encoder of transformers that the class is for.
        normalise: whether each utterance's waveform is brought to mean 0 and variance 1; None: as usual for it.
        layer: which hidden state to yield, or several; by default the last.
        combine: what becomes of several: ``concat`` along the width, their ``mean``, or a learnt ``mix``, by default of
            all of them.
        step_seconds: pool over consecutive windows of this length; None: no pooling.
        statistics: what a pooled state holds: ``mean``, or ``mean+std`` (doubles the width).

    Attributes:
        dim: width of what is yielded.

    Raises:
        UsageError: an option that does not fit the model.
    """

    normalisable: ClassVar[bool] = False

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        normalise: bool | None = None,
        layer: int | Sequence[int] | None = None,
        combine: Combine = "concat",
        step_seconds: float | None = None,
        statistics: Statistics = "mean",
    ) -> None:
        super().__init__()
        config = model.config
        if normalise is not None and not self.normalisable:
            raise UsageError(f"normalise is for models that read waveforms; a {type(model).__name__} does not.")
        self.last = int(config.num_hidden_layers)
        self.selection = StateSelection(
            last=self.last,
            layer=layer,
            combine=combine,
            step_seconds=step_seconds,
            statistics=statistics,
            state_seconds=self.state_seconds(config),
        )
        self.mix = self.selection.mix()
        self.normalise = normalise
        self.dim = self.selection.width(int(config.hidden_size))
        # Both change training alone; a block that is left out now and then has no state to yield.
        config.layerdrop = 0.0
        config.apply_spec_augment = False
        del blocks_of(model)[max(1, *self.selection.picked) :]
        for name in ("adapter", "intermediate_ffn", "masked_spec_embed"):
            if getattr(model, name, None) is not None:
                setattr(model, name, None)
        self.model: Any = model

    @staticmethod
    @abstractmethod
    def reads(config: PretrainedConfig) -> bool:
        """Whether the class is for models of this config."""
        raise NotImplementedError

    @staticmethod
    @abstractmethod
    def state_seconds(config: PretrainedConfig) -> float:
        """Time from one state to the next."""
        raise NotImplementedError

    @classmethod
    def of(cls, model: PreTrainedModel, **options: Any) -> SpeechEncoder:
        """An encoder around `model`, of the class that is for it, with the options of the class.

        Raises:
            UsageError: there is no such class, or an option does not fit.
        """
        found = _class_for(model.config)
        if found is None:
            raise UsageError(f"A {type(model).__name__} is no speech model that m3ser knows how to run.")
        return found(model, **options)

    @classmethod
    def from_pretrained(
        cls,
        source: str,
        *,
        normalise: bool | None = None,
        layer: int | Sequence[int] | None = None,
        combine: Combine = "concat",
        step_seconds: float | None = None,
        statistics: Statistics = "mean",
        frozen: bool = True,
        revision: str | None = None,
    ) -> SpeechEncoder:
        """A published speech encoder.

        Args:
            source: a folder or a name on the Hugging Face Hub (``facebook/wav2vec2-base``).
            normalise: None: as the model's preprocessor_config.json says, and where it has none, yes.
            layer: as for the class; so are the next three.
            combine: for several layers.
            step_seconds: for pooling.
            statistics: of a pooled state.
            frozen: see :func:`~m3ser.encoders.freeze`.
            revision: branch, tag or commit on the Hub.

        Raises:
            CheckpointError: no such model, offline and never fetched, damaged, not a speech model that is known,
                trained for another sampling rate, or some of its weights are not there.
            UsageError: an option that does not fit the model.
        """
        config = read_config(source, revision=revision, what="speech encoder")
        found = _class_for(config)
        if found is None:
            raise CheckpointError(
                f"'{source}' is of type '{config.model_type}', not a speech model that m3ser knows how to run."
                f"{' Its kind is whisper.' if config.model_type == 'whisper' else ''}"
            )
        preprocessor = read_preprocessor(source, revision=revision)
        rate = preprocessor.get("sampling_rate", SAMPLE_RATE)
        if rate != SAMPLE_RATE:
            raise CheckpointError(f"'{source}' was trained on audio of {rate} Hz; m3ser reads {SAMPLE_RATE} Hz.")
        if normalise is None and found.normalisable:
            normalise = bool(preprocessor.get("do_normalize", True))
        encoder = found(
            load_model(source, config, revision=revision, what="speech encoder", unused=_UNUSED),
            normalise=normalise,
            layer=layer,
            combine=combine,
            step_seconds=step_seconds,
            statistics=statistics,
        )
        return freeze(encoder) if frozen else encoder

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer blocks up to the highest layer asked for."""
        return tuple(blocks_of(self.model))

    def stem(self) -> Sequence[nn.Module]:
        """What lies below the blocks: convolutions or patches, their projection, and positions."""
        return parts_below(self.model)

    def numbered(self, found: dict[int, Tensor], output: Any) -> dict[int, Tensor]:
        """The blocks' hidden states; the last one of the whole model is its output."""
        if self.last in self.selection.picked:
            found[self.last] = output.last_hidden_state
        return found


def _class_for(config: PretrainedConfig) -> type[SpeechEncoder] | None:
    from m3ser.encoders.spectrogram import AstEncoder, Wav2Vec2BertEncoder
    from m3ser.encoders.waveform import WaveformEncoder

    classes: tuple[type[SpeechEncoder], ...] = (WaveformEncoder, Wav2Vec2BertEncoder, AstEncoder)
    return next((one for one in classes if one.reads(config)), None)
