"""Metrics: ways to say how near an answer comes to the truth. `METRICS` is the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.evaluation import cider, texts, vqa
from pipeline.evaluation.cider import Corpus

Score = Callable[[str, Sequence[str]], float]
"""(what was said, the right answers) -> 0 at worst"""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One of them."""

    name: str
    title: str
    scorer: Callable[[Corpus], Score]
    of_captions: bool = False
    """weighs words by the truth about all pictures"""

    @property
    def best(self) -> float:
        return cider.SCALE if self.of_captions else 1.0

    def shown(self, score: float | None) -> str:
        if score is None:
            return "-"
        return f"{score:.3f}" if self.of_captions else f"{score:.1%}"


_ALL = (
    Metric(name="vqa", title="VQA accuracy", scorer=lambda corpus: vqa.accuracy),
    Metric(name="exact", title="Exact match", scorer=lambda corpus: texts.exact),
    Metric(name="anls", title="ANLS", scorer=lambda corpus: texts.anls),
    Metric(
        name="cider-d",
        title="CIDEr-D",
        scorer=lambda corpus: lambda said, answers: cider.cider_d(said, answers, corpus),
        of_captions=True,
    ),
    Metric(
        name="cider",
        title="CIDEr",
        scorer=lambda corpus: lambda said, answers: cider.cider(said, answers, corpus),
        of_captions=True,
    ),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}


def chosen(names: Sequence[str], *, captions: bool) -> tuple[Metric, ...]:
    """Those that a person names, else those that suit captions or short answers."""
    if names:
        return tuple(METRICS[name] for name in dict.fromkeys(names))
    return tuple(metric for metric in _ALL if metric.of_captions == captions)
