"""Endings: what came of claimed jobs, as the store takes it, collected until it is worth a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline import forms
from pipeline.errors import CODES, InvalidAnswer
from pipeline.forms import Reading
from pipeline.jobs import Answer, CacheHit, Failure, State
from workers.child import Refused
from workers.engine.requests import Completion
from workers.work import Work

LINGER_S = 0.02
"""How long an answer may wait for others, to be stored in one transaction with them."""
GROUP = 256
"""How many endings are stored at once at most."""

Ending = Answer | CacheHit | Failure
Group = list[tuple[Work, Ending]]

_BAD_ENDS = {State.FAILED: "failed", State.QUEUED: "retried", State.CANCELLED: "cancelled"}


class Endings:
    """Those that are not stored yet."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waiting: Group = []
        self._oldest = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def works(self) -> Iterator[Work]:
        return (work for work, _ in self._waiting)

    @property
    def due_in(self) -> float | None:
        """How long they may wait for others; none when there are none."""
        return max(0.0, self._oldest + LINGER_S - self._now()) if self._waiting else None

    def add(self, work: Work, ending: Ending) -> None:
        if not self._waiting:
            self._oldest = self._now()
        self._waiting.append((work, ending))

    def are_due(self, held: int) -> bool:
        """Whether many have come together, no more can come of so many held jobs, or the oldest waited its time."""
        complete = len(self) == held
        return len(self) > 0 and (complete or len(self) >= GROUP or self.due_in == 0)

    def take(self) -> Iterator[Group]:
        """All of them, so many at a time as are stored at once."""
        waiting, self._waiting = self._waiting, []
        return (waiting[start : start + GROUP] for start in range(0, len(waiting), GROUP))


def of_completion(work: Work, completion: Completion, now: float) -> Answer | Failure:
    """The answer, if it has the form that was asked for."""
    form = work.claim.prompt.form
    if form is None:
        return _answer(work, completion, Reading(completion.text, None), now)
    try:
        return _answer(work, completion, forms.read(form, completion.text), now)
    except InvalidAnswer as error:
        return failure(work, Refused(error.code, f"{error}{_cut(completion)}"))


def failure(work: Work, why: Refused, *, final: bool = False) -> Failure:
    assert why.code in CODES, why.code
    return Failure(
        job=work.id,
        token=work.claim.token,
        code=why.code,
        message=why.message,
        pictures=work.reads,
        final=final,
    )


def hit(work: Work, key: bytes, answer: int) -> CacheHit:
    """This content was answered before."""
    return CacheHit(job=work.id, token=work.claim.token, answer=answer, pictures=work.reads, content_key=key)


def outcome(ending: Ending, state: State | None, written: bool) -> str:
    """The word for it in a worker's tally. `state`: where a failure left the job, if that was still its worker's."""
    if isinstance(ending, Failure):
        return _BAD_ENDS.get(state, "lost") if state else "lost"
    return "done" if written else "lost"


def _answer(work: Work, completion: Completion, reading: Reading, now: float) -> Answer:
    return Answer(
        job=work.id,
        token=work.claim.token,
        text=reading.text,
        parsed=reading.value,
        finish_reason=completion.finish_reason,
        prompt_tokens=completion.prompt_tokens,
        answer_tokens=completion.answer_tokens,
        logprob=completion.logprob,
        pictures=work.reads,
        content_key=work.key,
        seed=work.seed,
        queue_s=work.claim.queued_s,
        read_s=sum(picture.seconds for picture in work.pictures),
        vision_s=completion.vision_s,
        first_token_s=completion.first_token_s,
        total_s=now - work.begun,
    )


def _cut(completion: Completion) -> str:
    """What to do about an answer that ended where it had to, not where it wanted to."""
    cut = f"; it was cut after {completion.answer_tokens} tokens, and --max-tokens allows more"
    return cut if completion.finish_reason == "length" else ""
