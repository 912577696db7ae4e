"""The part of a recipe that says where utterances come from, and how they are divided."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from m3ser.errors import UsageError
from m3ser.schema import EmotionScheme, get_scheme

__all__ = ["CorpusRecipe", "DataRecipe", "PairedRecipe", "RecipePart", "Share", "require_scheme"]

Share = Annotated[float, Field(ge=0, le=1)]
_Protocol = Literal["paper", "random", "session", "speaker", "session+script", "corpus", "official"]


class RecipePart(BaseModel):
    """What every part of a recipe has: no other keys, and values that stay."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def require_scheme(name: str) -> None:
    """Make sure that there is an emotion scheme of this name.

    Raises:
        ValueError: there is none; as pydantic wants it.
    """
    try:
        get_scheme(name)
    except UsageError as error:
        raise ValueError(str(error)) from error


class _Data(RecipePart):
    """What every kind of data has.

    Attributes:
        root: folder that other paths are relative to; itself relative to where the command is run.
        scheme: the classes, by the name of an emotion scheme.
        seed: of the folds (and pairs), so that trainings with other seeds are judged on the same ones.
    """

    root: Path = Path()
    scheme: str = "iemocap4"
    seed: int = 0

    @model_validator(mode="after")
    def _check_scheme(self) -> _Data:
        require_scheme(self.scheme)
        return self

    @property
    def emotion_scheme(self) -> EmotionScheme:
        """The scheme itself."""
        return get_scheme(self.scheme)


class CorpusRecipe(_Data):
    """Labelled speech, judged by a protocol.

    Attributes:
        corpora: corpus -> its folder; more than one are put together.
        manifest: a manifest in place of corpora.
        protocol: how utterances are divided into folds; see :func:`m3ser.corpora.make_split`. A manifest that comes
            with folds of its own keeps them under `official`.
        folds: how many, where the protocol leaves that open; None: as many as it has by itself.
        text: what the model reads: the transcripts that come with the corpus, or nothing. They are cleaned
            (:func:`m3ser.text.clean`) as in prediction, but not under the protocol `paper`.
        max_seconds: longer utterances are left out; None: none are.
    """

    kind: Literal["corpus"] = "corpus"
    corpora: dict[str, str] = Field(default_factory=dict)
    manifest: Path | None = None
    protocol: _Protocol
    folds: int | None = Field(default=None, ge=2)
    text: Literal["given", "none"] = "given"
    max_seconds: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _check_source(self) -> CorpusRecipe:
        if bool(self.corpora) == (self.manifest is not None):
            raise ValueError("expected either corpora or a manifest")
        return self


class PairedRecipe(_Data):
    """Which corpora, and how they become a paired (semi-synthetic) corpus.

    Attributes:
        voices: speech corpus -> its folder.
        sentences: text corpus -> its folder.
        held_out: what is tested: some speakers of each corpus, by `speaker_shares`, in one fold (shares); every speaker
            in one of `folds` (speaker); every speech corpus in turn (corpus).
        speaker_shares: shares of each speech corpus's speakers in train, validation and test.
        folds: groups of speakers under `speaker`.
        shares: relation of words to voice -> share of the pairs; see :func:`m3ser.corpora.pair`. "plain" may be left
            out; its sentences are :func:`m3ser.corpora.plain_sentences`.
        per_clip: sentences that each recording is paired with.
    """

    kind: Literal["paired"] = "paired"
    voices: dict[str, str] = Field(min_length=1)
    sentences: dict[str, str] = Field(min_length=1)
    held_out: Literal["shares", "speaker", "corpus"] = "shares"
    speaker_shares: tuple[Share, Share, Share] = (0.6, 0.2, 0.2)
    folds: int = Field(default=5, ge=2)
    shares: dict[Literal["agree", "neutral", "conflict", "plain"], Share]
    per_clip: int = Field(default=1, ge=1)

    @property
    def protocol(self) -> str:
        """What the audit holds the parts to."""
        return "corpus" if self.held_out == "corpus" else "speaker"


DataRecipe = Annotated[CorpusRecipe | PairedRecipe, Field(discriminator="kind")]
