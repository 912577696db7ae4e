"""What has to be known beside the scores of an evaluation, a sentence each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from m3ser.corpora import READERS, LabelledPart
from m3ser.schema import EmotionScheme

__all__ = [
    "TOO_WELL",
    "of_conditions",
    "of_corpora",
    "of_languages",
    "of_parts",
    "of_scheme",
    "of_training",
    "of_transcripts",
]

TOO_WELL = "scores too well"
"""What a note says that makes the scores better than a new speaker will find them."""


def of_parts(labelled: LabelledPart, part: str | None) -> Iterator[str]:
    """Which rows were taken, where some are not for judging, and what kind of data they are."""
    if part is None and "train" in labelled.parts:
        others = " or ".join(f"--part {name}" for name in labelled.parts if name != "train")
        choice = f"; {others} judges on others" if others else ""
        yield f"all rows were judged, those of the train part too: what was trained on {TOO_WELL}{choice}."
    elif part == "train":
        yield f"this is the train part: what was trained on {TOO_WELL}."
    if labelled.paired:
        yield "paired (semi-synthetic): nobody ever said these sentences in these voices."


def of_training(utterances: int | None) -> Iterator[str]:
    """Whether the model has seen what it is judged on; None: that is not known."""
    if utterances:
        yield f"this training saw {utterances:,} of the utterances itself: on those it {TOO_WELL}."


def of_corpora(labelled: LabelledPart, data: Sequence[str]) -> Iterator[str]:
    """Which of the corpora the model was made of, by their titles in `data`."""
    names = dict.fromkeys(utterance.extra.get("corpus", "") for utterance in labelled.utterances)
    infos = [READERS[name].INFO for name in names if name in READERS]
    known = [info.title for info in infos if any(one.startswith(f"{info.title} (") for one in data)]
    if known:
        yield f"the model was made of {' and '.join(known)}: on speakers that it knows from there it {TOO_WELL}."


def of_scheme(labelled: LabelledPart, scheme: EmotionScheme, labels: Sequence[str]) -> Iterator[str]:
    """What has no class, and which classes of the model are not among those to choose from."""
    strays = Counter(u.emotion for u in labelled.utterances if scheme.class_of(u.emotion) is None)
    if strays:
        listed = ", ".join(f"{emotion} {count:,}" for emotion, count in sorted(strays.items()))
        yield f"{_utterances(strays.total())} left out, for '{scheme.name}' has no class for them: {listed}."
    if tuple(labels) != scheme.classes:
        yield (
            f"judged by '{scheme.name}': the model knows {', '.join(labels)}, and had to choose among "
            f"{', '.join(scheme.classes)}."
        )


def of_transcripts(labelled: LabelledPart, understood: Mapping[str, str], transcriber: str) -> Iterator[str]:
    """What a speech recogniser made nothing of, and what it does not understand at all."""
    empty = sum(not text for text in understood.values())
    if empty:
        yield (
            f"{transcriber} understood nothing in {empty:,} of {len(understood):,} utterances: both-transcribed is the "
            "voice alone there, and text-transcribed leaves them out."
        )
    if transcriber == "moonshine":
        others = {u.language for u in labelled.utterances if u.language is not None and u.language[:2].lower() != "en"}
        if others:
            yield f"moonshine understands English alone; there is speech in {', '.join(sorted(others))}."


def of_conditions(labelled: LabelledPart, conditions: Sequence[str], scheme: EmotionScheme) -> Iterator[str]:
    """Whether all conditions are judged on the same utterances."""
    judged = [utterance for utterance in labelled.utterances if scheme.class_of(utterance.emotion) is not None]
    kinds = {name.partition("-")[0] for name in conditions}
    mute = sum(utterance.audio is None for utterance in judged)
    if mute and kinds - {"text"}:
        yield f"{mute:,} of {len(judged):,} utterances have no recording, and are judged by their words alone."
    wordless = sum(utterance.text is None for utterance in judged)
    asked = [name for name in conditions if name in ("text", "both")]
    if wordless and asked:
        yield f"{wordless:,} of {len(judged):,} utterances have no words in the manifest: {_without(asked)} them."


def of_languages(unread: Mapping[str, int], model: str) -> Iterator[str]:
    """How many texts the model does not read, for their language, under each condition."""
    for condition, count in unread.items():
        one = count == 1
        number = "1 text" if one else f"{count:,} texts"
        left = f"leaves {'it' if one else 'them'} out"
        what = left if condition.startswith("text") else "is the voice alone there"
        yield f"{model} does not read the language of {number}: {condition} {what}."


def _without(conditions: Sequence[str]) -> str:
    return f"{' and '.join(conditions)} {'leave' if len(conditions) > 1 else 'leaves'} out"


def _utterances(count: int) -> str:
    return "1 utterance is" if count == 1 else f"{count:,} utterances are"
