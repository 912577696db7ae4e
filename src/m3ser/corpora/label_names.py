"""What corpora and people call emotions: the one table from their labels to m3ser's.

Only names that mean one thing are here. A label such as "pos", "xxx" or a number means what its corpus says it means,
and has to be mapped by hand (``--map LABEL=EMOTION``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from m3ser.errors import UsageError
from m3ser.schema import EMOTIONS

__all__ = ["LABEL_NAMES", "emotion_of", "parse_label_map"]

_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "angry": ("ang", "anger"),
    "happy": ("hap", "happiness", "joy", "joyful"),
    "sad": ("sadness",),
    "neutral": ("neu", "neutrality"),
    "fearful": ("fea", "fear", "afraid"),
    "disgusted": ("dis", "disgust"),
    "surprised": ("sur", "surprise"),
    "calm": ("cal", "calmness"),
    "excited": ("exc", "excitement"),
    "frustrated": ("fru", "frustration"),
    "bored": ("bor", "boredom"),
    "other": ("oth", "others"),
}

LABEL_NAMES: Mapping[str, str] = MappingProxyType(
    {name: emotion for emotion in EMOTIONS for name in (emotion, *_SYNONYMS[emotion])}
)
"""Label in lower case -> one of :data:`~m3ser.schema.EMOTIONS`."""


def emotion_of(label: str, extra_map: Mapping[str, str] | None = None) -> str | None:
    """The emotion that `label` means, or None where that is not known.

    Case and surrounding blanks do not matter.

    Args:
        label: as the corpus spells it.
        extra_map: label -> emotion, which goes before :data:`LABEL_NAMES`.
    """
    label = label.strip().lower()
    for name, emotion in (extra_map or {}).items():
        if name.strip().lower() == label:
            return emotion
    return LABEL_NAMES.get(label)


def parse_label_map(pairs: list[str] | tuple[str, ...]) -> dict[str, str]:
    """The map that options such as ``ang=angry`` spell out.

    Raises:
        UsageError: a pair has no "=", maps to what is no emotion, or maps a label for the second time.
    """
    labels: dict[str, str] = {}
    for pair in pairs:
        # The last "=": a label may hold one, an emotion does not.
        label, equals, emotion = pair.rpartition("=")
        label, emotion = label.strip(), emotion.strip()
        if not equals or not label:
            raise UsageError(f"'{pair}' maps nothing; expected LABEL=EMOTION, such as ang=angry.")
        if emotion not in EMOTIONS:
            raise UsageError(f"'{pair}' maps to '{emotion}'; expected one of {', '.join(EMOTIONS)}.")
        if label.lower() in {known.lower() for known in labels}:
            raise UsageError(f"Label '{label}' is mapped twice; say once what it means.")
        labels[label] = emotion
    return labels
