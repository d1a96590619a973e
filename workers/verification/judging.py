"""Judging: whether what a build said in the exam is what a working one says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.display import printable
from pipeline.errors import EmptyAnswer
from workers.engine.core import Ending
from workers.engine.requests import Completion, Refusal, Request

# Where two engines part, the tokens they take must be about as likely to the one whose figures are known.
# Measured on the five families with random weights and the demo model, each asked about drawn scenes: in full
# floats none of 288 answers parted; in what a CPU prefers (bf16, and 8 bits in the KV cache) 166 of 720 did, at
# gaps up to 0.66 in log-probability. The same build's answers about another picture parted at more than 1.0 in
# 563 of 720 cases, other weights' in 593 of 600: of three answers one at least gives them away.
NEAR_EXACT = 0.05
NEAR = 1.0
SAME, IN_DOUBT = 1e-6, 1e-3
"""mean log-probabilities that differ by less are the same; an answer that has less is not beyond doubt"""
CUT_CHARACTER = "\N{REPLACEMENT CHARACTER}"
SHOWN = 60

Say = Callable[[Request, str], Ending]
"""what the engine makes of a question whose answer is given"""


class Unfit(Exception):
    """The build must not be trusted; the text says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What speaks for a build."""

    answers: int
    tokens: int
    equal: int | None
    """answers that the reference gave too, word by word; none without a reference"""
    widest_gap: float | None


def judge(
    asked: Sequence[Request], answers: Sequence[Ending], reference: Sequence[Ending] | None, say: Say, *, near: float
) -> Verdict:
    """Raises Unfit unless the answers are sound, and part from the reference's at near-ties only."""
    for question, ending in zip(asked, answers, strict=True):
        _check_sound(question, ending)
    _check_sight(*(answers if reference is None else reference)[:2])
    tokens = sum(ending.answer_tokens for ending in answers if isinstance(ending, Completion))
    if not tokens:
        raise Unfit("it answers nothing")
    if reference is None:
        return Verdict(len(answers), tokens, None, None)
    pairs = zip(asked, answers, reference, strict=True)
    gaps = [_gap(question, one, other, say, near) for question, one, other in pairs if _text(one) != _text(other)]
    known = [gap for gap in gaps if gap is not None]
    widest = round(max(known), 4) if known and len(known) == len(gaps) else None
    return Verdict(len(answers), tokens, len(answers) - len(gaps), widest)


def _check_sound(question: Request, ending: Ending) -> None:
    if isinstance(ending, Refusal):
        if ending.code != EmptyAnswer.code:
            raise Unfit(f"asked {_shown(question.messages[-1][1])} about a drawn picture, {ending.message}")
        return
    if ending.logprob is None or not all(math.isfinite(logprob) for _, logprob in ending.tokens or ()):
        raise Unfit("the probabilities it computes are no numbers, so its weights are damaged")


def _check_sight(one: Ending, other: Ending) -> None:
    """Two pictures of one size leave a trace in what is said about them, unless it is beyond doubt anyway.

    Looked for where requests run one at a time: there the same is computed from the same, to the last digit.
    """
    if not (isinstance(one, Completion) and isinstance(other, Completion) and one.logprob and other.logprob):
        return
    if one.text == other.text and abs(one.logprob - other.logprob) < SAME and one.logprob < -IN_DOUBT:
        raise Unfit("it says the same about two pictures, to the last digit, so it does not see them")


def _gap(question: Request, one: Ending, other: Ending, say: Say, near: float) -> float | None:
    """How much likelier an answer's token is than the reference's where they part, or none if that cannot be told.

    Raises Unfit when it is more than a near-tie.
    """
    told = f"in a batch it says {_shown(_text(one))}, one at a time {_shown(_text(other))}"
    if not (isinstance(one, Completion) and isinstance(other, Completion)):
        raise Unfit(told)
    forced = say(question, _whole(other))
    if not isinstance(forced, Completion) or not _whole(other).startswith(_whole(forced)):
        return None
    gap = _parting(one.tokens or (), forced.tokens or ())
    if gap > near:
        raise Unfit(f"{told}; where they part, the first is likelier by {gap:.2f} in log-probability")
    return gap


def _parting(greedy: Sequence[tuple[int, float]], forced: Sequence[tuple[int, float]]) -> float:
    gaps = (one[1] - other[1] for one, other in zip(greedy, forced, strict=False) if one[0] != other[0])
    return next(gaps, 0.0)


def _whole(completion: Completion) -> str:
    """The text without blanks around it, and without the part of a character that its last token may be."""
    return completion.text.rstrip(CUT_CHARACTER).strip()


def _text(ending: Ending) -> str:
    return ending.text if isinstance(ending, Completion) else ""


def _shown(text: str) -> str:
    line = printable(text.strip())
    return repr(line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…")
