"""The page with all pictures and answers: one HTML file beside the pictures, with nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from urllib.parse import quote

from pipeline.display import duration, number
from workers.demo.marking import Card, Mark, Marked, Origin, Score, by_kind
from workers.demo.report import Report
from workers.pages import figure, fill

SIGNS = {Mark.RIGHT: "✓", Mark.WRONG: "✗", Mark.FAILED: "!", Mark.OPEN: "…"}


def render(report: Report) -> str:
    """The page as text."""
    return fill(
        files("workers.demo") / "page.html",
        lead=escape(_lead(report)),
        stopped=_stopped(report),
        figures="\n".join(_figures(report)),
        kinds="\n".join(_kind(kind, score) for kind, score in by_kind(report.cards).items()),
        origins="\n".join(map(_origin, report.origins)),
        cards="\n".join(map(_card, report.cards)),
        commands=escape("\n".join(report.commands())),
    )


def _lead(report: Report) -> str:
    return (
        f"{number(len(report.cards))} scenes that Pixmill drew, described and asked about by its own small model,"
        " and each answer held against the truth."
    )


def _stopped(report: Report) -> str:
    counts, asked = report.outcome.counts, report.questions.asked + report.captions.asked
    open_ = asked - counts.done - counts.failed
    parts = [f"{number(counts.failed)} failed: pixmill failed ls --batch {report.outcome.batch.name} says why."]
    parts = parts if counts.failed else []
    parts += [f"{number(open_)} are not asked yet: run the same command again to go on."] * bool(open_)
    return f'<p class="stopped">{escape(" ".join(parts))}</p>' if parts else ""


def _figures(report: Report) -> Iterator[str]:
    outcome = report.outcome
    yield figure(_percent(report.questions), f"questions right: {_of(report.questions)}")
    yield figure(_percent(report.captions), f"captions right: {_of(report.captions)}")
    if outcome.asked and outcome.rate and report.pictures_per_second:
        yield figure(f"{report.pictures_per_second:,.1f}", "pictures a second")
        yield figure(f"{outcome.rate:,.1f}", "answers a second")
        yield figure(duration(outcome.seconds), f"in all; the model loaded in {duration(outcome.engine.load_s)}")
    if outcome.cached:
        yield figure(number(outcome.cached), "answers from the cache")
    if known := outcome.added.linked_done:
        yield figure(number(known), "answers known from an earlier run")


def _percent(score: Score) -> str:
    return "none" if score.share is None else f"{score.share:.1%}"


def _of(score: Score) -> str:
    return f"{number(score.right)} of {number(score.answered)}"


def _kind(kind: str, score: Score) -> str:
    share = f"{100 * (score.share or 0):.1f}%"
    figures = f"{number(score.right)} of {number(score.answered)}"
    return f'<div class="kind"><span>{escape(kind)}</span><i style="--share:{share}"></i><em>{figures}</em></div>'


def _origin(origin: Origin) -> str:
    facts = {
        "Model": f"{origin.model}, {origin.precision}",
        "Build": origin.build,
        "Device": f"{origin.device}, {origin.device_name}",
        "OpenVINO": origin.openvino,
    }
    lines = (f"<dt>{name}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    return f"<dl>{''.join(lines)}</dl>"


def _card(card: Card) -> str:
    name, scene = card.exercise.name, card.exercise.scene
    place = quote(f"pictures/{name}")
    truth = "" if card.caption.mark is Mark.RIGHT else _truth(card.caption)  # a right one is the truth, word by word
    all_right = " all-right" if all(one.mark is Mark.RIGHT for one in card.marked) else ""
    return f"""<article class="card{all_right}">
<a href="{place}"><img src="{place}" alt="{escape(card.caption.question.answer)}" \
width="{scene.width}" height="{scene.height}" loading="lazy"></a>
<div class="words">
<div class="{card.caption.mark}"><h3>{escape(name)} · {scene.width} × {scene.height}</h3>
<p class="caption {card.caption.mark}">{_sign(card.caption)}{escape(card.caption.said)}</p>{truth}</div>
<ul>
{"".join(map(_question, card.questions))}</ul>
</div>
</article>"""


def _question(one: Marked) -> str:
    return f"""<li class="{one.mark}"><p class="asked">{escape(one.question.text)}</p>
<p class="said"><span class="chip">{_sign(one)}{escape(one.said)}</span>{_truth(one)}</p></li>
"""


def _sign(one: Marked) -> str:
    return f'<span class="mark" title="{one.mark}">{SIGNS[one.mark]}</span>'


def _truth(one: Marked) -> str:
    return f'<span class="truth">truth: {escape(one.question.answer)}</span>'
