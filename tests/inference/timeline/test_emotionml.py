"""EmotionML by the rules of its schema: what W3C's emotionml.xsd and the Recommendation say of the parts we write."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

import pytest

from m3ser.inference.timeline import Timeline, formats
from m3ser.schema import EMOTIONS, Segment

Make = Callable[..., Timeline]
SPACE = "http://www.w3.org/2009/10/emotionml"
EML = f"{{{SPACE}}}"
SCORES = {"angry": 0.7, "happy": 0.2, "sad": 0.06, "neutral": 0.04}
SEGMENTS = [
    Segment(0.5, 2.25, "angry", SCORES, 'No! "Never" --> <again> & again,\nGrüße'),
    Segment(2.25, 4.0, "angry", SCORES, None),
    Segment(3661.5, 3662.0005, "angry", SCORES, "An hour later."),
    Segment(1.0, 2.0, "angry", {"angry": 1.0, "happy": 0.0, "sad": 1e-9, "neutral": 0.0}, "Hello.", 1),
    Segment(1.5, 1.5001, "angry", SCORES, "Speaking.", 2),
]

# An element's children: a regular expression over their names, each with a space behind it. "*": of other namespaces.
CHILDREN = {
    "emotionml": r"(info )?((emotion|vocabulary) )*",
    "info": r"(\* )*",
    "vocabulary": r"(info )?(item )+",
    "item": r"(info )?",
    "emotion": r"(info )?((category|dimension|appraisal|action-tendency) )+(reference )*",
    "category": r"(trace )?",
    "reference": "",
}
WITH_TEXT = {"emotionml", "info", "emotion"}

NAME = r"[\w][\w.-]*"  # NCName, and within NMTOKEN
COUNT = r"\d+"
URI = r"[^\s<>\"{}|\\^`]+"
SHARE = r"0(\.\d+)?|1(\.0+)?"
SETS = {f"{kind}-set": URI for kind in ("category", "dimension", "appraisal", "action-tendency")}
# An element's attributes, each with the values that it may have; those with "!" must be there.
ATTRIBUTES = {
    "emotionml": {"version!": r"1\.0", **SETS},
    "info": {"id": NAME},
    "vocabulary": {"type!": "category|dimension|appraisal|action-tendency", "id!": NAME},
    "item": {"name!": NAME},
    "emotion": {
        **SETS,
        "version": r"1\.0",
        "id": NAME,
        "start": COUNT,
        "end": COUNT,
        "duration": COUNT,
        "time-ref-uri": URI,
        "time-ref-anchor-point": "start|end",
        "offset-to-start": f"-?{COUNT}",
        "expressed-through": f"{NAME}( {NAME})*",
    },
    "category": {"name!": NAME, "value": SHARE, "confidence": SHARE},
    "reference": {"uri!": URI, "role": "expressedBy|experiencedBy|triggeredBy|targetedAt", "media-type": ".*"},
}


def faults(root: ET.Element) -> Iterator[str]:
    """Everything in a document that the rules do not allow."""
    if root.tag != f"{EML}emotionml":
        yield f"root is {root.tag}"
    for element in root.iter():
        if not element.tag.startswith(EML):
            continue  # inside of info, where anything may stand
        name = element.tag.removeprefix(EML)
        if name not in CHILDREN:
            yield f"unknown {name}"
            continue
        children = [c.tag.removeprefix(EML) if c.tag.startswith(EML) else "*" for c in element]
        if not re.fullmatch(CHILDREN[name], "".join(f"{child} " for child in children)):
            yield f"{name} holds {children}"
        texts = [element.text, *(child.tail for child in element)]
        if name not in WITH_TEXT and any((text or "").strip() for text in texts):
            yield f"text in {name}"
        yield from attribute_faults(name, element)
    yield from vocabulary_faults(root)
    identities = [found for element in root.iter() if (found := element.get("id")) is not None]
    yield from (f"two of id {one}" for one in set(identities) if identities.count(one) > 1)


def attribute_faults(name: str, element: ET.Element) -> Iterator[str]:
    rules = ATTRIBUTES[name]
    yield from (f"{name} without {rule}" for rule in rules if rule.endswith("!") and element.get(rule[:-1]) is None)
    for attribute, value in element.attrib.items():
        rule = rules.get(attribute, rules.get(f"{attribute}!"))
        if rule is None:
            yield f"{name} has {attribute}"
        elif not re.fullmatch(rule, value):
            yield f"{attribute} of {name} is {value!r}"


def vocabulary_faults(root: ET.Element) -> Iterator[str]:
    """Of the words that are used: declared in the document by the set that is named, each at most once."""
    declared = {
        f"#{one.get('id')}": [item.get("name") for item in one.findall(f"{EML}item")]
        for one in root.findall(f"{EML}vocabulary[@type='category']")
    }
    yield from (f"words twice in {name}" for name, words in declared.items() if len(words) > len(set(words)))
    for emotion in root.findall(f"{EML}emotion"):
        words = declared.get(emotion.get("category-set", root.get("category-set", "")), [])
        used = [category.get("name") for category in emotion.findall(f"{EML}category")]
        yield from (f"{word} is not declared" for word in used if word not in words)
        if len(used) > len(set(used)):
            yield "a category twice"
        if {"start", "end"} <= set(emotion.attrib) and int(emotion.get("end", 0)) < int(emotion.get("start", 0)):
            yield "the end before the start"


def written(timeline: Timeline) -> str:
    return "".join(formats.write(timeline, "emotionml"))


def parsed(timeline: Timeline) -> ET.Element:
    return ET.fromstring(written(timeline).encode())


@pytest.mark.parametrize("file", ["call.wav", "my call #1?.wav", "a:b/通話 100%.wav", "/there/call 1.wav", None])
def test_what_is_written_keeps_the_rules(timeline_of: Make, file: str | None) -> None:
    for segments in (SEGMENTS, []):
        assert [*faults(parsed(timeline_of(segments, file=file, seconds=3663)))] == []


def test_every_emotion_is_a_name(timeline_of: Make) -> None:
    timeline = timeline_of([Segment(0, 1, "other", dict.fromkeys(EMOTIONS, 1 / 12), "Hm.")])
    timeline._recogniser.labels = EMOTIONS  # type: ignore[misc]
    assert [*faults(parsed(timeline))] == []


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ('emotionml version="1.0"', "emotionml", "emotionml without version!"),
        ('emotionml version="1.0"', 'emotionml version="1.1"', "version of emotionml is '1.1'"),
        (f'xmlns="{SPACE}"', 'xmlns="http://www.w3.org/2005/Incubator/emotion"', "root is"),
        ('type="category"', 'type="colour"', "type of vocabulary"),
        ('category-set="#m3ser-categories"', "", "angry is not declared"),
        ('<item name="sad"/>', "", "sad is not declared"),
        ('<item name="sad"/>', '<item name="very sad"/>', "name of item is 'very sad'"),
        ('<category name="happy" confidence="0.200000"/>', '<category name="angry"/>', "a category twice"),
        ('confidence="0.700000"', 'confidence="1.7"', "confidence of category"),
        ('offset-to-start="500"', 'offset-to-start="0.5"', "offset-to-start of emotion"),
        ('duration="1750"', 'duration="-1"', "duration of emotion"),
        ('time-ref-anchor-point="start"', 'time-ref-anchor-point="middle"', "time-ref-anchor-point of emotion"),
        ('time-ref-uri="call.wav"', 'time-ref-uri="my call.wav"', "time-ref-uri of emotion"),
        ('role="expressedBy"', 'role="saidBy"', "role of reference"),
        ("<reference", '<info/><reference uri="x"/><reference', "emotion holds"),
        ("<category name=", '<intensity value="1"/><category name=', "unknown intensity"),
        ('id="e2"', 'id="e1"', "two of id e1"),
    ],
)
def test_the_rules_find_what_breaks_them(timeline_of: Make, right: str, wrong: str, fault: str) -> None:
    content = written(timeline_of(SEGMENTS))
    assert right in content
    found = [*faults(ET.fromstring(content.replace(right, wrong, 1).encode()))]
    assert any(one.startswith(fault) for one in found), found


def test_what_it_says_is_what_was_recognised(timeline_of: Make) -> None:
    root = parsed(timeline_of(SEGMENTS, file="my call #1.wav"))
    emotions = root.findall(f"{EML}emotion")
    for emotion, segment in zip(emotions, SEGMENTS, strict=True):
        scores = {c.get("name"): float(c.get("confidence", "")) for c in emotion.findall(f"{EML}category")}
        assert scores == pytest.approx(segment.scores, abs=1e-6)
        assert emotion.get("time-ref-uri") == "my%20call%20%231.wav"
    assert (emotions[2].get("offset-to-start"), emotions[2].get("duration")) == ("3661500", "500")
    assert [e.get("expressed-through") for e in emotions[:2]] == ["voice text", "voice"]
    reference = emotions[0].find(f"{EML}reference")
    assert reference is not None
    assert reference.get("uri") == "my%20call%20%231.wav#t=0.500,2.250"
    assert (emotions[0].text or "").strip() == 'No! "Never" --> <again> & again, Grüße'
    assert emotions[4].find(f"{EML}info/{{urn:m3ser}}channel").get("number") == "2"  # type: ignore[union-attr]


def test_it_survives_what_is_no_xml(timeline_of: Make) -> None:
    segment = Segment(0, 1, "angry", SCORES, "a\x00b\ud800c")
    root = parsed(timeline_of([segment], file="a\ud800.wav"))
    assert [*faults(root)] == []
    assert (root[2].text or "").strip() == "a\ufffdb\ufffdc"
