"""Plain statements: what people say without a word of how they feel ("The bus stops near the library.").

Acted corpora have their speakers say such sentences in every emotion, and most of daily speech is like them. Labelled
text is not: comments that are called neutral are opinions and replies, and "children" or "a puppy" occur where
somebody is delighted. A model that is to weigh words against a voice has to meet words that tell nothing.

The sentences are put together from the lists below. No content word of RAVDESS's two sentences or of CREMA-D's twelve
is in them, so that those can test what is learnt here; functional words and forms are shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from m3ser.corpora.drawing import shuffled
from m3ser.corpora.manifest import SPLITS
from m3ser.schema import Utterance

__all__ = ["PLAIN_CORPUS", "plain_sentences"]

PLAIN_CORPUS = "plain"

_ONE = (
    "the baby, a boy, the girl, the cat, a puppy, the horse, my brother, my sister, the teacher, a woman, the old man, "
    "the driver, our neighbour, a student, the nurse, my cousin, the waiter, the baker, somebody, the postman, a friend"
)
_MANY = (
    "the children, two boys, some girls, the cats, three birds, the horses, my parents, the students, some people, our "
    "neighbours, the workers, a few women, the players, both brothers, the ducks, many visitors, the sheep"
)
_DOING = (
    "playing, standing, waiting, walking, sleeping, reading, working, eating, running, drawing, looking around, "
    "drinking water, carrying boxes, cooking, painting, writing, lying, singing, digging, cycling"
)
_WHERE = (
    "in the garden, by the window, near the gate, at the station, on the stairs, under the tree, in the kitchen, next "
    "to the shop, behind the house, in front of the school, on the beach, at the table, in the park, across the street"
)
_THING = (
    "the bus, the library, the car, the report, the window, the table, the room, the road, the coffee, the book, the "
    "river, the train, the shop, the wall, the bag, the kitchen, the letter, the phone, the box, the garden"
)
_HOW = "open, closed, new, blue, wooden, on the left, upstairs, empty, wet, quite long, ready, green, small, far away"
_WHEN = (
    "at nine, at half past four, on Monday, this afternoon, every morning, after lunch, next week, on Friday evening, "
    "in the spring, twice a year, at noon, around seven"
)
_HAPPENS = "starts, ends, arrives, is cleaned, comes, gets delivered, is painted, is closed"
_EVENT = "the lesson, the film, the bus, the market, the train, the game, the mail, the course, the concert, the ferry"
_WHO = "I, we, they, my parents, most people, you, the others"
_DO = (
    "buy bread, take the bus, read the paper, water the plants, call the office, wash the car, close the window, "
    "walk to work, send a letter, have dinner, clean the kitchen, feed the cat, use the stairs, pay the rent"
)
_ASKED = "Where is, Do you see, Can you bring, Is this, Who has, Have you found, What is in"
_HEDGE = "I believe, As far as I know, They say, It says here that, You can see that, She told me that"

_TRAIN, _VALIDATION = 0.8, 0.1


def plain_sentences(count: int = 4000) -> tuple[Utterance, ...]:
    """`count` of the sentences that the lists allow, the same on every machine, in three parts (80, 10 and 10%).

    Each is neutral English, and has "plain" in its ``extra``.
    """
    # Every form equally often: some of them have hundreds of times the sentences that others have.
    forms = [shuffled(dict.fromkeys(form), PLAIN_CORPUS, number, name=str) for number, form in enumerate(_forms())]
    share = -(-count // len(forms))
    chosen = shuffled(dict.fromkeys(text for form in forms for text in form[:share]), PLAIN_CORPUS, name=str)[:count]
    ends = (_TRAIN * len(chosen), (_TRAIN + _VALIDATION) * len(chosen))
    return tuple(
        Utterance(
            None,
            "neutral",
            text=text,
            language="en",
            split=SPLITS[sum(number >= end for end in ends)],
            extra={"corpus": PLAIN_CORPUS, "id": f"{number:05}", "plain": "yes"},
        )
        for number, text in enumerate(chosen)
    )


def _forms() -> Iterator[list[str]]:
    one, many, doing, where, thing, how, when, happens, event, who, do, asked, hedge = map(
        _listed, (_ONE, _MANY, _DOING, _WHERE, _THING, _HOW, _WHEN, _HAPPENS, _EVENT, _WHO, _DO, _ASKED, _HEDGE)
    )
    yield [_sentence(s, "is", d, w) for s, d, w in product(one, doing, where)]
    yield [_sentence(s, "are", d, w) for s, d, w in product(many, doing, where)]
    yield [_sentence(t, "is", h) for t, h in product(thing, how)]
    yield [_sentence(e, h, w) for e, h, w in product(event, happens, when)]
    yield [_sentence(p, d, w) for p, d, w in product(who, do, when)]
    yield [_sentence(h, t, "is", a) for h, t, a in product(hedge, thing, how)]
    yield [_sentence(h, e, g, w) for h, e, g, w in product(hedge, event, happens, when)]
    yield [_sentence(a, t, end="?") for a, t in product(asked, thing)]
    yield [_sentence("there is", t.replace("the ", "a ", 1), w) for t, w in product(thing, where)]


def _listed(words: str) -> list[str]:
    return words.split(", ")


def _sentence(*pieces: str, end: str = ".") -> str:
    text = " ".join(pieces)
    return text[0].upper() + text[1:] + end
