"""What the page says: an answer, or one sentence on what went wrong. HTML, all escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from m3ser import page
from m3ser.inference import Timeline
from m3ser.inference.timeline.drawing import timeline_picture, utterance_table
from m3ser.inference.timeline.drawing.layout import facts_of, look_of
from m3ser.page import Html
from m3ser.schema import Prediction
from m3ser.serving.page.downloads import download_links, prediction_files, timeline_files

__all__ = ["Answer", "answer_to", "busy", "fault", "over_time"]


_NOTHING = Html("")


@dataclass(frozen=True)
class Answer:
    """What is shown at one time.

    Attributes:
        said: one or two short sentences at the top, which screen readers speak by themselves.
        shown: below it.
        across: below that, over the whole width of the page.
    """

    said: Html
    shown: Html = _NOTHING
    across: Html = _NOTHING


def answer_to(prediction: Prediction) -> Answer:
    """One emotion for the whole, with the words, every class and the downloads."""
    best = prediction.scores[prediction.label]
    said = Html(f'<p class="m3-emotion">{_swatch(prediction.label)}{_title(prediction.label)} {_percent(best)}</p>')
    shown = [_words(prediction), _bars(prediction.scores, prediction.label)]
    length = "" if prediction.duration is None else f"{prediction.duration:.1f} s of sound. "
    shown += [
        download_links(prediction_files(prediction), name=prediction.file),
        _small(f"{length}Model {prediction.model}."),
    ]
    return Answer(said, _joined(shown))


def over_time(timeline: Timeline) -> Answer:
    """Emotions over time, of a timeline that has been iterated: what dominates, the picture, the table, downloads."""
    if not timeline.segments:
        return Answer(_sentence("No speech was found in this recording."))
    whole = timeline.to_dict()
    label: str = whole["label"]
    share = dict(facts_of(timeline))[label]
    said = Html(
        f'<p class="m3-emotion">{_swatch(label)}Mostly {label}</p>'
        f"<p>{len(timeline.segments):,} utterance{'s' * (len(timeline.segments) != 1)}; "
        f"{share} of the speech sounds {label}.</p>"
    )
    shown = [
        *([] if timeline.note is None else [page.notice(timeline.note)]),
        page.facts(facts_of(timeline)),
        download_links(timeline_files(timeline), name=timeline.file),
        _small(f"{_SOURCES[timeline.text_source]} Model {timeline.model}."),
    ]
    across = [timeline_picture(timeline), page.heading("Utterances", level=3), utterance_table(timeline)]
    return Answer(said, _joined(shown), Html(f'<div class="m3-timeline">{_joined(across)}</div>'))


def busy(sentence: str) -> Answer:
    """Work is going on."""
    return Answer(Html(f'<p class="m3-busy">{escape(sentence)}</p>'))


def fault(sentence: str) -> Answer:
    """One sentence on what went wrong, and nothing else."""
    return Answer(Html(f'<p class="m3-fault"><strong>That did not work.</strong> {_safe(sentence)}</p>'))


_SOURCES: Mapping[str, str] = {
    "given": "The words were typed in.",
    "transcribed": "The words were transcribed.",
    "none": "The voice alone was used.",
}


def _words(prediction: Prediction) -> Html:
    """The words, where they came from, and what was not used of them."""
    pieces = []
    if prediction.text is not None:
        used = {"none": "not used", "given": "typed in"}.get(prediction.text_source, prediction.text_source)
        pieces.append(f'<p class="m3-words"><q>{_safe(prediction.text)}</q> <span class="m3-source">{used}</span></p>')
    elif prediction.note is None:
        pieces.append(_small("No words: the voice alone was used."))
    if prediction.note is not None:
        pieces.append(page.notice(prediction.note))
    if prediction.removed:
        pieces.append(_small(f"Left out of the words: {' '.join(prediction.removed)}"))
    return _joined(pieces)


def _bars(scores: Mapping[str, float], best: str) -> Html:
    """Every class with its probability: a table to those who do not see the bars."""
    rows = "".join(
        f"<tr{' class=best' if label == best else ''}>"
        f'<th scope="row">{_safe(label)}</th>'
        f'<td aria-hidden="true"><span class="m3-rail"><span class="m3-bar" '
        f'style="width:{100 * share:.2f}%;background:{look_of(label).colour}"></span></span></td>'
        f'<td class="n">{_percent(share)}</td></tr>'
        for label, share in scores.items()
    )
    return Html(
        '<table class="m3-bars"><caption class="m3-hidden">How probable each emotion is</caption>'
        '<thead class="m3-hidden"><tr><th scope="col">emotion</th><td></td>'
        '<th scope="col">probability</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _swatch(label: str) -> str:
    return f'<span class="m3-swatch" style="background:{look_of(label).colour}" aria-hidden="true"></span>'


def _title(label: str) -> str:
    return _safe(label.capitalize())


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _sentence(text: str) -> Html:
    return Html(f"<p>{_safe(text)}</p>")


def _small(text: str) -> Html:
    return Html(f'<p class="m3-small">{_safe(text)}</p>')


def _joined(pieces: Sequence[str]) -> Html:
    return Html("\n".join(pieces))


def _safe(text: str) -> str:
    return escape("".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text))
