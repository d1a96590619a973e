"""The page of a trial: the pictures with their answers, and what all of the input would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from pipeline.display import duration, number
from pipeline.store.rows import ItemRow
from workers.opener import Opener
from workers.pages import figure, fill
from workers.pages.thumbnails import thumbnail
from workers.trying.report import WORKERS, Report, names, rough, said


def render(report: Report, opener: Opener) -> str:
    """The page as text, complete in itself."""
    return fill(
        files("workers.trying") / "page.html",
        lead=escape(" ".join(report.estimate())),
        figures="\n".join(_figures(report)),
        cards="\n".join(_card(items, opener) for items in report.rows),
        command=escape(report.command),
    )


def _figures(report: Report) -> Iterator[str]:
    yield figure(f"{number(len(report.rows))} of {number(report.in_all)}", "pictures, by lot")
    if report.seconds_each is not None and report.seconds_for_all is not None:
        yield figure(f"{report.seconds_each:.2g} s", "for a picture with all its questions")
        yield figure(rough(report.seconds_for_all), "for all of them on this machine")
        yield figure(rough(report.seconds_for_all / WORKERS), f"on {WORKERS} workers like it")
    if report.outcome.counts.failed:
        yield figure(number(report.outcome.counts.failed), "questions failed")


def _card(items: Sequence[ItemRow], opener: Opener) -> str:
    pictures = "".join(thumbnail(one.locator, one.name, opener) for one in items[0].pictures)
    return f"""<article class="card">
<div class="pictures">{pictures}</div>
<div class="words"><h3>{escape(names(items))}</h3>
{"".join(map(_said, items))}</div>
</article>"""


def _said(item: ItemRow) -> str:
    kind = "said" if item.answer else "said wrong"
    took = f"<h4>{_time(item)}</h4>" if item.answer else ""
    asked = f'<p class="asked">{escape(item.question or "")}</p>'
    return f'{asked}<div class="{kind}"><p>{escape(said(item))}</p>{took}</div>\n'


def _time(item: ItemRow) -> str:
    assert item.answer
    return "from the cache" if item.answer.cached_from is not None else escape(duration(item.answer.total_s))
