"""The page of a comparison: the figures, and the answers that part beside small copies of their pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from html import escape

from pipeline.display import number
from workers import marked
from workers.comparison.pairs import Pair
from workers.comparison.report import Report
from workers.opener import Opener
from workers.pages import figure
from workers.pages.thumbnails import thumbnail


def render(report: Report, opener: Opener) -> str:
    """The page as text. Pictures are opened by the decoder, and only their small copies are in it."""
    one, other = (side.model for side in report.sides)
    return marked.page(
        report,
        name=f"{one} and {other}",
        title=f"{one} and {other}",
        figures=_figures(report),
        shown=_shown(report),
        cards=(_card(pair, (one, other), opener) for pair in report.tally.worst),
    )


def _figures(report: Report) -> Iterator[str]:
    tally = report.tally
    if tally.equal_share is not None and tally.mean_similarity is not None:
        yield figure(f"{tally.equal_share:.1%}", f"answers equal: {number(tally.equal)} of {number(tally.compared)}")
        yield figure(f"{tally.mean_similarity:.1%}", "words in common, on average")
    for place, side in enumerate(report.sides):
        if (share := tally.accuracy(place)) is not None:
            yield figure(f"{share:.1%}", f"right: {side.model}")


def _shown(report: Report) -> str:
    parting = report.tally.compared - report.tally.equal
    if not parting:
        return "No answers differ."
    kept = len(report.tally.worst)
    return f"The answers that differ, the least similar first: {number(kept)} of {number(parting)}."


def _card(pair: Pair, models: tuple[str, str], opener: Opener) -> str:
    names = ", ".join(picture.name for picture in pair.pictures)
    pictures = "".join(thumbnail(picture.locator, picture.name, opener) for picture in pair.pictures)
    truth = f'<p class="truth">truth: {escape(pair.told)}</p>' if pair.truth else ""
    one, other = _set_off(*pair.said)
    return f"""<article class="card">
<div class="pictures">{pictures}</div>
<div class="words"><h3>{escape(names)} · {pair.similarity:.0%} alike</h3>
<p class="asked">{escape(pair.question)}</p>
{_said(models[0], one, pair, 0)}{_said(models[1], other, pair, 1)}{truth}</div>
</article>"""


def _said(model: str, text: str, pair: Pair, side: int) -> str:
    mark = "" if not pair.truth else " right" if pair.right(side) else " wrong"
    return f'<div class="said{mark}"><h4>{escape(model)}</h4><p>{text}</p></div>\n'


def _set_off(one: str, other: str) -> tuple[str, str]:
    """Both texts with the words marked that the other has not."""
    words = one.split(), other.split()
    changes = SequenceMatcher(None, *words, autojunk=False).get_opcodes()
    return (
        " ".join(_words(words[0][a:b], apart=tag != "equal") for tag, a, b, _, _ in changes if a < b),
        " ".join(_words(words[1][a:b], apart=tag != "equal") for tag, _, _, a, b in changes if a < b),
    )


def _words(words: Sequence[str], *, apart: bool) -> str:
    text = escape(" ".join(words))
    return f"<mark>{text}</mark>" if apart else text
