"""VQA accuracy: how many of ten people gave the answer, as the VQA challenge counts them.

The steps are those of the challenge's own evaluation (GT-Vision-Lab/VQA, vqaEval.py of 2021), with one difference:
there, where all ten people agree, nothing is brought into the plain form, and "Yes." would be wrong beside "yes".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

ENOUGH = 3
"""so many others who say the same make an answer all right"""

_SIGNS = ';/[]"{}()=+\\_-><@`,?!'
_THOUSANDS = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {"none": "0", **{word: str(number) for number, word in enumerate(_NUMBERS)}}
_ARTICLES = frozenset({"a", "an", "the"})

_CONTRACTIONS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's
how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock
oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're there's
they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's
where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've
y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""


def _written_short(word: str) -> Iterator[str]:
    """The word, each time with another of its apostrophes left out."""
    yield from (word[:place] + word[place + 1 :] for place, letter in enumerate(word) if letter == "'")


_APOSTROPHES = {short: word for word in _CONTRACTIONS.split() for short in _written_short(word)}


def accuracy(said: str, answers: Sequence[str]) -> float:
    """Leave each person out in turn: a third for each of the others who gave the answer, one at most; the mean of it.

    With fewer than four people all the others must agree, and a lone answer is the same or not.
    """
    given = Counter(map(normalised, answers))
    same, people = given[normalised(said)], len(answers)
    if people == 1:
        return float(same)
    enough = min(ENOUGH, people - 1)
    with_one_less, with_all = min(1.0, (same - 1) / enough), min(1.0, same / enough)
    return (same * with_one_less + (people - same) * with_all) / people


@lru_cache(maxsize=1 << 14)  # ten people say much the same, over a whole data set too: a third of the time
def normalised(text: str) -> str:
    """Lower case, without punctuation and articles, numbers in digits, contractions with their apostrophes."""
    words = (_DIGITS.get(word, word) for word in _without_punctuation(" ".join(text.split())).lower().split())
    return " ".join(_APOSTROPHES.get(word, word) for word in words if word not in _ARTICLES)


def _without_punctuation(text: str) -> str:
    """Signs between words part them; those at a blank, and all in a text with 1,000 in it, are left out."""
    thousands = _THOUSANDS.search(text) is not None
    plain = text
    for sign in _SIGNS:
        beside_blank = f"{sign} " in text or f" {sign}" in text
        plain = plain.replace(sign, "" if beside_blank or thousands else " ")
    return _FULL_STOP.sub("", plain)
