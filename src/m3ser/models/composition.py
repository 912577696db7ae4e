"""The whole model: text encoder, audio encoder and fusion, from tokens and log-mel to logits.

The published 3M-SER (BERT-base, VGGish, fusion) has 184,175,812 parameters, 184,176,068 with the LayerNorm on audio.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from m3ser.encoders import Encoder, TextEncoder, VGGishEncoder, build_encoder
from m3ser.errors import UsageError
from m3ser.models.base import FusionModel, FusionOutput
from m3ser.models.blueprint import construct, describe
from m3ser.models.config import CheckedConfig
from m3ser.models.pretrained import CheckedModel
from m3ser.models.published import check_weights, split_published
from m3ser.models.registry import system

__all__ = ["SpeechEmotionConfig", "SpeechEmotionModel"]

EncoderSource = Encoder | Mapping[str, Any]
"""An encoder, or the dictionary that :func:`m3ser.encoders.build_encoder` builds one from."""


class SpeechEmotionConfig(CheckedConfig):
    """Everything that a whole model is made of, but for the weights.

    Args:
        text: sizes of the text encoder (see :mod:`m3ser.models.blueprint`); None: there is none.
        audio: sizes of the audio encoder; None: there is none.
        fusion: the :class:`FusionConfig` of the fusion model, as a dictionary.
        kwargs: see :class:`CheckedConfig`.
    """

    model_type = "m3ser-speech-emotion"

    def __init__(
        self,
        *,
        text: Mapping[str, Any] | None = None,
        audio: Mapping[str, Any] | None = None,
        fusion: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        fusion = dict(fusion or {})
        # One classifier, one set of labels.
        kwargs |= {key: fusion[key] for key in ("id2label", "label2id") if key in fusion}
        super().__init__(**kwargs)
        self.text = None if text is None else dict(text)
        self.audio = None if audio is None else dict(audio)
        self.fusion = fusion


class SpeechEmotionModel(CheckedModel):
    """A fusion model with the encoders of what it looks at.

    A frozen encoder (see :func:`m3ser.encoders.freeze`) stays in evaluation mode and without gradient while the rest is
    trained. Made by :meth:`from_parts`, or by :func:`m3ser.models.load` from a checkpoint, which holds all weights and
    needs neither the Hub nor the files that the encoders once came from.

    Attributes:
        text_encoder: None where the fusion model does not look at text.
        audio_encoder: None where it does not look at audio.
        fusion: the fusion model.
    """

    config_class = SpeechEmotionConfig
    config: SpeechEmotionConfig
    main_input_name = "features"

    def __init__(
        self,
        config: SpeechEmotionConfig,
        *,
        text_encoder: Encoder | None = None,
        audio_encoder: Encoder | None = None,
        fusion: FusionModel | None = None,
    ) -> None:
        """Use the parts that are given; build the others, with random weights, as `config` describes them."""
        super().__init__(config)
        self.text_encoder = text_encoder or (construct(config.text) if config.text else None)
        self.audio_encoder = audio_encoder or (construct(config.audio) if config.audio else None)
        self.fusion = fusion or _fusion(config.fusion)
        self._check_parts()
        self.post_init()

    @classmethod
    def from_parts(
        cls,
        fusion: FusionModel,
        *,
        text_encoder: EncoderSource | None = None,
        audio_encoder: EncoderSource | None = None,
    ) -> SpeechEmotionModel:
        """Put the parts together, with the weights that they have.

        Args:
            fusion: what :func:`m3ser.models.build` or :func:`m3ser.models.load` gives.
            text_encoder: a text encoder, or what :func:`m3ser.encoders.build_encoder` builds one from.
            audio_encoder: the same for audio.

        Raises:
            UsageError: an encoder is missing or not looked at, or its states are of another width than the fusion model
                expects.
        """
        text, audio = (
            build_encoder(source) if isinstance(source, Mapping) else source for source in (text_encoder, audio_encoder)
        )
        config = cls.config_class(
            text=None if text is None else describe(text),
            audio=None if audio is None else describe(audio),
            fusion=json.loads(fusion.config.to_json_string()),
        )
        return cls(config, text_encoder=text, audio_encoder=audio, fusion=fusion)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        features: Tensor | None = None,
        features_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool = False,
    ) -> FusionOutput:
        """Classify a batch of utterances; see :meth:`FusionModel.forward` for missing modalities and the output.

        Args:
            input_ids: (batch, tokens) int64; None: no utterance of the batch has text.
            attention_mask: (batch, tokens) bool, true = real; None: all are.
            features: (batch, frames, ...) float of the audio encoder's front end; None: no utterance has audio.
            features_mask: (batch, frames) bool, true = real; None: all are.
            labels: (batch,) int, class indices; asks for the loss.
            output_attentions: return the fusion model's attention weights, too.

        Raises:
            UsageError: see :meth:`FusionModel.forward` and the encoders.
        """
        text, text_mask = _encode(self.text_encoder, input_ids, attention_mask)
        audio, audio_mask = _encode(self.audio_encoder, features, features_mask)
        output: FusionOutput = self.fusion(
            text, text_mask, audio, audio_mask, labels=labels, output_attentions=output_attentions
        )
        return output

    def load_published_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the weights of a published checkpoint: both encoders' and the fusion's.

        See :meth:`FusionModel.load_published_state_dict`. The PCA of VGGish's post-processing, which some versions of
        torchvggish keep out of the state dict, may be missing. On an error nothing has been loaded.

        Raises:
            CheckpointError: a weight is missing, unknown or of another shape.
        """
        parts = split_published(state_dict)
        name = self.config.fusion["system"]
        plan: list[tuple[nn.Module, dict[str, Tensor], str]] = [
            (self.fusion, self.fusion.published_in_use(parts.fusion), f"The published state dict for {name}")
        ]
        if self.text_encoder is not None:
            text = _inner(self.text_encoder)
            # A buffer that transformers used to save.
            weights = {key: value for key, value in parts.text_encoder.items() if key != "embeddings.position_ids"}
            plan.append((text, weights, "The text encoder of the published state dict"))
        if self.audio_encoder is not None:
            audio = _inner(self.audio_encoder)
            plan.append((audio, _with_pca(parts.audio_encoder, audio), "The audio encoder of the published state dict"))
        for module, weights, subject in plan:
            check_weights(module, weights, subject, hint=self.fusion.published_hint(weights))
        for module, weights, _ in plan:
            module.load_state_dict(weights)

    def _check_parts(self) -> None:
        fusion = self.fusion.config
        for modality, encoder, dim in (
            ("text", self.text_encoder, fusion.text_dim),
            ("audio", self.audio_encoder, fusion.audio_dim),
        ):
            looked_at = modality in self.fusion.modalities
            if looked_at is (encoder is None):
                state = "needs a" if looked_at else "does not look at"
                thing = f"{modality} encoder" if looked_at else f"{modality}, and takes no encoder for it"
                raise UsageError(f"{fusion.system} {state} {thing}.")
            if encoder is not None and encoder.dim != dim:
                raise UsageError(
                    f"The {modality} encoder yields states of width {encoder.dim}; the fusion model expects {dim}."
                )

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: the parts come with their weights, drawn or loaded, and must keep them."""


def _fusion(config: Mapping[str, Any]) -> FusionModel:
    model_class = system(str(config.get("system"))).model_class()
    return model_class(model_class.config_class.from_dict(dict(config)))


def _encode(encoder: Encoder | None, inputs: Tensor | None, mask: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    if encoder is None or inputs is None:
        return None, None
    if mask is None:
        mask = inputs.new_ones(inputs.shape[:2], dtype=torch.bool)
    without_gradient: AbstractContextManager[None] = torch.no_grad() if encoder.computed_once else nullcontext()
    with without_gradient:
        states, states_mask = encoder(inputs, mask)
    return states, states_mask


def _inner(encoder: Encoder) -> nn.Module:
    """The network that the published code has in the place of `encoder`."""
    if isinstance(encoder, TextEncoder):
        return encoder.model
    return encoder.vggish if isinstance(encoder, VGGishEncoder) else encoder


def _with_pca(weights: Mapping[str, Tensor], vggish: nn.Module) -> dict[str, Tensor]:
    """`weights` with the PCA of `vggish` where they have none, and its means as one row where they are a column."""
    means = "pproc.pca_means"
    own = {name: value for name, value in vggish.state_dict().items() if name.startswith("pproc.")}
    found = own | dict(weights)
    if means in own:
        found[means] = found[means].reshape(-1)
    return found
