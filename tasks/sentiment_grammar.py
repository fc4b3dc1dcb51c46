"""Two small languages in which the order of the words decides the meaning.

A language writes a sentence for a label (`write`). Independently, it reads the label from a
sentence (`read`); `write` never calls `read`. An opinion is plain or negated with equal
probability, and both orders of a contrast are equally likely, so counting words is of little use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
Words = list[str]
Template = tuple[str, ...]  # words, and names of word classes in capitals
Classes = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Language:
    """What `sentiment` needs from a source of text."""

    labels: tuple[str, ...]  # the class of a label is its index
    words: tuple[str, ...]  # sorted, without padding
    write: Callable[[np.random.Generator, str, int], Words]  # (rng, label, limit): 1 to limit words
    read: Callable[[Sequence[str]], str]  # the label of a sentence's words


def _classes(**words: str) -> dict[str, tuple[str, ...]]:
    return {name: tuple(text.split()) for name, text in words.items()}


def _templates(*texts: str) -> tuple[Template, ...]:
    return tuple(tuple(text.split()) for text in texts)


def _vocabulary(classes: Classes, templates: Sequence[Template]) -> tuple[str, ...]:
    named = {word for words in classes.values() for word in words}
    literal = {word for template in templates for word in template if not word.isupper()}
    return tuple(sorted(named | literal))


def _pick(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    return items[int(rng.random() * len(items))]


def _fitting(templates: Sequence[Template], limit: int) -> list[Template]:
    return [template for template in templates if len(template) <= limit]


def _fill(rng: np.random.Generator, template: Template, classes: Classes) -> Words:
    return [_pick(rng, classes[slot]) if slot in classes else slot for slot in template]


# Like or dislike: groups of clauses; one group can be conceded ("although ...") or overruled
# ("... but").

REVIEW_WORDS = _classes(
    GOOD="good great nice fine superb lovely pleasant charming brilliant excellent wonderful "
    "fantastic delightful impressive clever funny fresh warm elegant graceful honest memorable "
    "touching gripping comfortable friendly",
    BAD="bad awful poor terrible horrible dreadful dull boring ugly nasty stale cold clumsy rude "
    "noisy dirty shallow tedious tiresome annoying disappointing forgettable silly weak painful "
    "hopeless",
    LOVE="love like enjoy adore admire praise recommend treasure cherish",
    HATE="hate dislike regret despise loathe resent detest deplore condemn",
    THING="food soup bread coffee menu kitchen service waiter room bed garden view music song band "
    "singer voice concert film plot story script ending scene actor cast director book chapter "
    "novel author style game level phone screen battery camera hotel museum beach train ticket "
    "price design",
    WHO="mother father sister brother uncle aunt cousin friend neighbour teacher boss daughter son",
    IS="was is seemed looked felt",
    VERY="very really so quite truly rather",
    WHEN="today yesterday tonight again here overall mostly lately",
    NOT="not never hardly",
    NEVER="never hardly",
    BUT="but yet",
    ALTHOUGH="although though",
)
SWAPPED = REVIEW_WORDS | {
    slot: REVIEW_WORDS[other]
    for slot, other in (("GOOD", "BAD"), ("BAD", "GOOD"), ("LOVE", "HATE"), ("HATE", "LOVE"))
}
LIKES = {word: True for slot in ("GOOD", "LOVE") for word in REVIEW_WORDS[slot]} | {
    word: False for slot in ("BAD", "HATE") for word in REVIEW_WORDS[slot]
}
# Positive clauses, plain and negated; with SWAPPED words they are negative.
PLAIN = _templates(
    "GOOD",
    "VERY GOOD",
    "GOOD WHEN",
    "GOOD and NOT BAD",
    "the THING IS GOOD",
    "the THING IS VERY GOOD",
    "the THING IS GOOD WHEN",
    "my WHO found the THING GOOD",
    "i LOVE the THING",
    "we LOVE the THING WHEN",
)
NEGATED = _templates(
    "NOT BAD",
    "NOT BAD at all",
    "NOT BAD WHEN",
    "NOT BAD and GOOD",
    "the THING IS NOT BAD",
    "the THING IS NOT VERY BAD",
    "the THING IS NOT BAD at all",
    "my WHO NEVER found the THING BAD",
    "i NEVER HATE the THING",
    "we do not HATE the THING WHEN",
)
# YES stands for clauses of the label, NO for clauses of the opposite label.
REVIEWS = _templates("YES", "NO BUT YES", "ALTHOUGH NO , YES", "YES ALTHOUGH NO")
SHORTEST_ADDED_CLAUSE = 4


def _clauses(rng: np.random.Generator, classes: Classes, limit: int) -> Words:
    """Clauses of one opinion, joined by "and" as long as another one fits."""
    words: Words = []
    while True:
        room = limit - len(words)
        forms = _pick(rng, (PLAIN, NEGATED))
        words += _fill(rng, _pick(rng, _fitting(forms, room) or _fitting(PLAIN, room)), classes)
        if limit - len(words) <= SHORTEST_ADDED_CLAUSE:
            return words
        words.append("and")


def write_review(rng: np.random.Generator, label: str, limit: int) -> Words:
    """A review of at most `limit` words; its own limit is uniform in 1 to `limit`."""
    room = 1 + int(rng.random() * limit)
    slots = _pick(rng, _fitting(REVIEWS, room))
    sides = sum(slot in ("YES", "NO") for slot in slots)
    room = (room - len(slots) + sides) // sides
    words: Words = []
    for slot in slots:
        if slot in ("YES", "NO"):
            likes = (slot == "YES") == (label == "like")
            words += _clauses(rng, REVIEW_WORDS if likes else SWAPPED, room)
        else:
            words += _fill(rng, (slot,), REVIEW_WORDS)
    return words


def read_review(words: Sequence[str]) -> str:
    """The last opinion that is not conceded; a negation reverses the next opinion.

    "although" and "though" concede what follows, up to a comma or a "but". Raises ValueError if
    there is no such opinion.
    """
    verdict: bool | None = None
    conceded = negated = False
    for word in words:
        if word in REVIEW_WORDS["ALTHOUGH"]:
            conceded = True
        elif word == "," or word in REVIEW_WORDS["BUT"]:
            conceded = False
        elif word in REVIEW_WORDS["NOT"]:
            negated = True
        elif word in LIKES:
            verdict = verdict if conceded else LIKES[word] != negated
            negated = False
    if verdict is None:
        raise ValueError(f"{' '.join(words)!r} contains no opinion that counts")
    return "like" if verdict else "dislike"


REVIEW = Language(
    labels=("dislike", "like"),
    words=_vocabulary(REVIEW_WORDS, (*PLAIN, *NEGATED, *REVIEWS)),
    write=write_review,
    read=read_review,
)


# Sad, happy or angry: the emotion that is neither in the past nor denied.

FEELINGS = _classes(
    angry="angry furious mad cross",
    happy="happy glad cheerful joyful",
    sad="sad lonely tearful gloomy",
)
FEELING_FORMS = _templates(
    "FELT",
    "i am FELT",
    "not OTHER but FELT",
    "FELT but not OTHER",
    "once OTHER now FELT",
    "now FELT once OTHER",
    "i was OTHER now i am FELT",
    "i am FELT but i was OTHER",
)


def write_feeling(rng: np.random.Generator, label: str, limit: int) -> Words:
    """A sentence of at most `limit` words, and at most 7."""
    other = _pick(rng, [name for name in FEELINGS if name != label])
    slots = {"FELT": FEELINGS[label], "OTHER": FEELINGS[other]}
    return _fill(rng, _pick(rng, _fitting(FEELING_FORMS, limit)), slots)


def read_feeling(words: Sequence[str]) -> str:
    """The present emotion: "was" and "once" put one in the past, "not" denies the next one.

    Raises ValueError if there is none, or more than one.
    """
    emotion = {word: name for name, names in FEELINGS.items() for word in names}
    held: set[str] = set()
    past = denied = False
    for word in words:
        if word in ("was", "once"):
            past = True
        elif word in ("am", "now"):
            past = False
        elif word == "not":
            denied = True
        elif word in emotion:
            if not (past or denied):
                held.add(emotion[word])
            denied = False
    if len(held) != 1:
        raise ValueError(f"{' '.join(words)!r} expresses {sorted(held)}; expected one emotion")
    return held.pop()


FEELING = Language(
    labels=tuple(FEELINGS),
    words=_vocabulary(FEELINGS, FEELING_FORMS),
    write=write_feeling,
    read=read_feeling,
)
