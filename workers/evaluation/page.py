"""The page of an evaluation: the figures, and the worst answers beside small copies of their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from pipeline.display import number
from pipeline.evaluation.report import Report, told_of
from pipeline.evaluation.tally import Case
from workers import marked
from workers.opener import Opener
from workers.pages import figure
from workers.pages.thumbnails import thumbnail


def render(report: Report, opener: Opener) -> str:
    """The page as text, complete in itself."""
    return marked.page(
        report,
        name=f"{report.title}, marked",
        title=report.title,
        figures=_figures(report),
        shown=_shown(report),
        cards=(_card(case, report, opener) for case in report.tally.worst),
    )


def _figures(report: Report) -> Iterator[str]:
    for metric in report.tally.metrics:
        yield figure(metric.shown(report.tally.all.score(metric.name)), metric.title)
    yield figure(number(report.tally.all.items), "items marked")
    if report.tally.all.failed:
        yield figure(number(report.tally.all.failed), "of them failed: wrong")


def _shown(report: Report) -> str:
    tally = report.tally
    if not tally.imperfect:
        return "All answers are right."
    return f"The worst answers: {number(len(tally.worst))} of {number(tally.imperfect)} that are not all right."


def _card(case: Case, report: Report, opener: Opener) -> str:
    pictures = "".join(thumbnail(picture.locator, picture.name, opener) for picture in case.pictures)
    names = ", ".join(picture.name for picture in case.pictures)
    scores = ", ".join(f"{metric.title} {metric.shown(case.scores[metric.name])}" for metric in report.tally.metrics)
    return f"""<article class="card">
<div class="pictures">{pictures}</div>
<div class="words"><h3>{escape(names)} · {escape(case.right.kind)}</h3>
<p class="asked">{escape(case.question)}</p>
<div class="said wrong"><h4>{escape(scores)}</h4><p>{escape(case.said)}</p></div>
<p class="truth">truth: {escape(told_of(case))}</p></div>
</article>"""
