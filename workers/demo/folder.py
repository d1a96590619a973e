"""The folder that `pixmill demo` fills: pictures, the truth about them, a page to look at."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SetupError, UsageError
from workers.demo.drawing import draw
from workers.demo.exercises import Exercise

MARKER = ".pixmill-demo"
NOTE = "`pixmill demo` made this folder and writes anew what it put here.\n"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of ours, marked as such."""

    path: Path

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    @property
    def truth(self) -> Path:
        return self.path / "truth.jsonl"

    @property
    def page(self) -> Path:
        return self.path / "index.html"

    @property
    def sheet(self) -> Path:
        return self.path / "contact-sheet.png"

    @classmethod
    def at(cls, path: Path) -> Folder:
        """Make the folder, or take the one made before. Refuses one that is not ours."""
        folder = cls(path.absolute())
        with writing(path):
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                folder._insist()
            (path / MARKER).write_text(NOTE, "utf-8")
            folder.pictures.mkdir(exist_ok=True)
        return folder

    def _insist(self) -> None:
        if not (self.path / MARKER).is_file():
            raise UsageError(detail=f"{self.path} is there already and not made by `pixmill demo`: name another --out.")

    def draw(self, exercises: Iterable[Exercise]) -> None:
        """Draw the pictures and write down the truth; pictures of ours that are not among them go."""
        names = set()
        for exercise in exercises:
            names.add(exercise.name)
            self.write(self.pictures / exercise.name, _png(exercise))
        for left in self.pictures.glob("scene-*.png"):
            if left.name not in names:
                with writing(left):
                    left.unlink()

    def tell(self, exercises: Iterable[Exercise]) -> None:
        """Write down what is asked of each picture, with the true answers."""
        lines = (json.dumps(line, ensure_ascii=False) for exercise in exercises for line in _truth(exercise))
        self.write(self.truth, "".join(f"{line}\n" for line in lines).encode())

    def write(self, path: Path, content: bytes) -> None:
        """Write a file in one go. One that is the same already keeps its time, by which its jobs are known."""
        with writing(path):
            if path.is_file() and path.read_bytes() == content:
                return
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(content)
            part.replace(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the file system refuses inside comes out as a sentence."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise SetupError(detail=f"{path} cannot be written: {why}. Name another folder with --out.") from error


def _png(exercise: Exercise) -> bytes:
    file = io.BytesIO()
    draw(exercise.scene).save(file, "PNG")
    return file.getvalue()


def _truth(exercise: Exercise) -> Iterator[dict[str, str]]:
    for question in exercise.questions:
        yield {
            "picture": f"pictures/{exercise.name}",
            "kind": question.kind,
            "question": question.text,
            "answer": question.answer,
        }
