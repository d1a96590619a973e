"""Columns: which of a manifest's columns hold the picture, the questions, an id; named by a person or guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.settings import nearest

IMAGE, IMAGES, QUESTION, ID, SYSTEM = "image", "images", "question", "id", "system"

_OBVIOUS: dict[str, tuple[str, ...]] = {
    IMAGE: (
        "file_name", "filename", "image", "image_path", "image_file", "image_name", "picture", "path", "file",
        "filepath", "file_path", "img", "img_path", "image_url", "img_url", "url",
    ),
    IMAGES: ("images", "image_paths", "pictures"),
    QUESTION: ("question", "questions", "prompt", "query", "instruction"),
    ID: ("custom_id", "id", "question_id", "uid", "key"),
    SYSTEM: ("system", "system_prompt"),
}  # fmt: skip
"""what columns are called that mean it, the surest first"""
_SHOWN = 30
_LONGEST = 60


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The columns that a person named."""

    image: str | None = None
    images: str | None = None
    pattern: str | None = None
    """makes the picture's name out of several columns, as in COCO_val2014_{image_id:012}.jpg"""
    questions: tuple[str, ...] = ()
    id: str | None = None
    system: str | None = None

    def named(self) -> Iterator[tuple[str, str]]:
        options = {"--image-col": self.image, "--images-col": self.images, "--id-col": self.id}
        options |= {"--system-col": self.system}
        yield from ((option, name) for option, name in options.items() if name is not None)
        yield from (("--question-col", name) for name in self.questions)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What each column means; those that are not named here pass through."""

    image: str | None = None
    images: str | None = None
    pattern: str | None = None
    questions: tuple[str, ...] = ()
    id: str | None = None
    system: str | None = None
    guessed: Mapping[str, str] | None = None
    """role -> column, for those that nobody named"""


def choose(
    names: Sequence[str], asked: Asked, meaning: Mapping[str, str], *, shown: str, questions: bool = True
) -> Columns:
    """What a person says, else what the format says, else what a name says.

    `questions`: whether to look for a column of questions where none was named.
    Raises UsageError, with the columns there are, where no column names the pictures.
    """
    for option, name in asked.named():
        if name not in names:
            raise UsageError(detail=f"{option}: {_missing(name, names, shown)}")
    guessed: dict[str, str] = {}

    def find(role: str) -> str | None:
        found = meaning.get(role)
        if found is None and (found := _obvious(role, names)) is not None:
            guessed[role] = found
        return found

    image, images = asked.image, asked.images
    if not (image or images or asked.pattern):
        image = find(IMAGE)
        images = None if image else find(IMAGES)
        if not (image or images):
            raise UsageError(detail=_none(names, shown))
    question = find(QUESTION) if questions and not asked.questions else None
    return Columns(
        image=image,
        images=images,
        pattern=asked.pattern,
        questions=asked.questions or ((question,) if question else ()),
        id=asked.id or find(ID),
        system=asked.system or find(SYSTEM),
        guessed=guessed,
    )


def _obvious(role: str, names: Sequence[str]) -> str | None:
    by_plain_name = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(names)}
    return next((by_plain_name[name] for name in _OBVIOUS[role] if name in by_plain_name), None)


def _missing(name: str, names: Sequence[str], shown: str) -> str:
    return f"{shown} has no column {name!r}{nearest(name, list(names)) or '.'} It has {_listed(names)}."


def _none(names: Sequence[str], shown: str) -> str:
    if not names:
        return f"{shown} holds no rows."
    return f"{shown} has no column that obviously names pictures: say which with --image-col. It has {_listed(names)}."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(_named, names[:_SHOWN])) + more


def _named(name: str) -> str:
    """A column as it is told: of a file that is none, the first line may be a picture."""
    return repr(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…")
