"""The page of a report: what changed, with the answers that differ side by side."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from pipeline.display import moment, number
from pipeline.reporting import sentences
from pipeline.store.changes import Changes, Difference
from workers.pages import figure, fill


def render(changes: Changes) -> str:
    """The page as text, complete in itself."""
    return fill(
        files("workers.reporting") / "page.html",
        since=escape(moment(changes.since)),
        figures="\n".join(
            (
                figure(number(sum(changes.answers.values())), "new answers"),
                figure(number(sum(changes.failures.values())), "new failures"),
                figure(number(changes.waiting), "pictures waiting"),
                figure(number(changes.differing), "answers differ"),
            )
        ),
        facts="\n".join(_fact(name, sentence) for name, sentence in sentences.facts(changes)),
        slower="\n".join(f"<li>{escape(sentences.slower(one))}</li>" for one in changes.slower),
        cards="\n".join(map(_card, changes.differences)),
    )


def _fact(name: str, sentence: str) -> str:
    return f"<tr><th>{escape(name)}</th><td>{escape(sentence)}</td></tr>"


def _card(one: Difference) -> str:
    return f"""<article class="card"><div class="words"><h3>{escape(one.picture)}</h3>
<p class="asked">{escape(one.question)}</p>
<div class="said"><h4>before</h4><p>{escape(one.before)}</p></div>
<div class="said"><h4>now</h4><p>{escape(one.now)}</p></div></div>
</article>"""
