"""A part of a manifest, ready to be judged on: every row named, its words cleaned as they are before prediction."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from m3ser.corpora.manifest import read_manifest
from m3ser.corpora.pool import identities
from m3ser.errors import UsageError
from m3ser.schema import Utterance

__all__ = ["LabelledPart", "read_part", "with_clean_text"]


@dataclass(frozen=True)
class LabelledPart:
    """Labelled utterances.

    Attributes:
        utterances: in the order of the manifest. A text of which cleaning leaves nothing is none.
        names: what each is called, whichever part is taken.
        comment: what the manifest says of itself.
        parts: the parts that the manifest names, whichever is taken.
        paired: whether voices and sentences were joined (a paired, semi-synthetic corpus).
    """

    utterances: tuple[Utterance, ...]
    names: tuple[str, ...]
    comment: str
    parts: tuple[str, ...]
    paired: bool


def read_part(path: str | os.PathLike[str], part: str | None = None) -> LabelledPart:
    """Read a manifest, or a part of it. Whether the recordings are there is not looked at.

    Args:
        path: the manifest.
        part: "train", "validation" or "test"; None: all rows.

    Raises:
        UsageError: the manifest has no such part, or its extension is none of a manifest's.
        DataError: it cannot be read, or has faults; lists all of them.
    """
    manifest = read_manifest(path, check_audio=False)
    parts = tuple(dict.fromkeys(u.split for u in manifest.utterances if u.split is not None))
    if part is not None and part not in parts:
        has = f"it has {', '.join(parts)}" if parts else "its rows are in no part"
        raise UsageError(f"Manifest '{manifest.path}' has no part '{part}'; {has}.")
    names = _names(manifest.utterances)
    rows = [(u, name) for u, name in zip(manifest.utterances, names, strict=True) if part in (None, u.split)]
    kept = [(with_clean_text(utterance), name) for utterance, name in rows]
    return LabelledPart(
        utterances=tuple(utterance for utterance, _ in kept if utterance is not None),
        names=tuple(name for utterance, name in kept if utterance is not None),
        comment=" ".join(manifest.comment.split()),
        parts=parts,
        paired=any("relation" in utterance.extra for utterance, _ in rows),
    )


def _names(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """Identities; in a paired corpus that of the voice and of its sentence, as a training has them."""
    names = list(identities(utterances))
    for i, utterance in enumerate(utterances):
        extra = utterance.extra
        if "relation" in extra and extra.get("corpus") and extra.get("id"):
            names[i] = f"{extra['corpus']}/{extra['id']}+{extra.get('text_id', i)}"
    return tuple(names)


def with_clean_text(utterance: Utterance) -> Utterance | None:
    """The utterance with what was said alone, without what a transcriber noted (:func:`m3ser.text.clean`).

    Where nothing is left it has no text; None: it had nothing else.
    """
    from m3ser.text import clean  # it brings NumPy, which listing corpora does without

    text = None if utterance.text is None else clean(utterance.text).text or None
    if text is None and utterance.audio is None:
        return None
    return replace(utterance, text=text)
