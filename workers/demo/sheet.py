"""The contact sheet: thumbnails with captions and marks, as one PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from pipeline.display import number
from workers.demo.drawing import draw
from workers.demo.marking import Card, Mark, Marked
from workers.demo.report import Report
from workers.demo.world import RGB

MOST = 48
"""cards on one sheet; the page shows all"""
COLUMNS = 4
CELL = (340, 388)
GAP, MARGIN, TOP = 20, 36, 136
ROOM = (CELL[0], 216)
"""of a thumbnail"""
CAPTION_LINES = 4

GROUND, PAPER, LINE, INK, SOFT = (246, 246, 243), (255, 255, 255), (226, 226, 220), (29, 32, 38), (100, 106, 117)
WELL = (236, 236, 231)
COLORS: dict[Mark, RGB] = {
    Mark.RIGHT: (23, 121, 74),
    Mark.WRONG: (179, 38, 30),
    Mark.FAILED: (179, 38, 30),
    Mark.OPEN: (150, 150, 145),
}

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def render(report: Report) -> bytes:
    """The sheet as the bytes of a PNG."""
    shown = report.cards[:MOST]
    rows = -(-len(shown) // COLUMNS)
    across = 2 * MARGIN + COLUMNS * (CELL[0] + GAP) - GAP
    sheet = Image.new("RGB", (across, TOP + rows * (CELL[1] + GAP) - GAP + MARGIN), GROUND)
    pen = ImageDraw.Draw(sheet)
    _head(pen, report, len(shown))
    for place, card in enumerate(shown):
        row, column = divmod(place, COLUMNS)
        _cell(sheet, pen, card, MARGIN + column * (CELL[0] + GAP), TOP + row * (CELL[1] + GAP))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _head(pen: ImageDraw.ImageDraw, report: Report, shown: int) -> None:
    pen.text((MARGIN, 30), "Pixmill demo", INK, _font(30))
    parts = [f"{report.questions} questions right", f"{report.captions} captions right"]
    if shown < len(report.cards):
        parts.append(f"{number(shown)} of {number(len(report.cards))} pictures shown")
    pen.text((MARGIN, 72), ", ".join(parts), INK, _font(17))
    pen.text((MARGIN, 96), "; ".join(map(str, report.origins)), SOFT, _font(13))


def _cell(sheet: Image.Image, pen: ImageDraw.ImageDraw, card: Card, x: int, y: int) -> None:
    box = (x, y, x + CELL[0], y + CELL[1])
    pen.rounded_rectangle(box, 12, PAPER, LINE)
    pen.rounded_rectangle((x, y, x + ROOM[0], y + ROOM[1]), 12, WELL, LINE, corners=(True, True, False, False))
    picture = draw(card.exercise.scene)
    picture.thumbnail((ROOM[0] - 24, ROOM[1] - 24), Image.Resampling.LANCZOS)
    sheet.paste(picture, (x + (ROOM[0] - picture.width) // 2, y + (ROOM[1] - picture.height) // 2))
    below = y + ROOM[1] + 14
    _tick(pen, card.caption.mark, x + 16, below)
    lines = _wrapped(card.caption.said, _font(15), CELL[0] - 56, CAPTION_LINES)
    pen.multiline_text((x + 40, below - 1), "\n".join(lines), INK, _font(15), spacing=5)
    _questions(pen, card.questions, x + 16, y + CELL[1] - 64)


def _questions(pen: ImageDraw.ImageDraw, questions: Sequence[Marked], x: int, y: int) -> None:
    """A line for each question, as far as there is room: its kind and what was said."""
    for place, one in enumerate(questions):
        top = y + place * 18
        pen.text((x + 24, top), _fitting(f"{one.question.kind}: {one.said}", _font(13), CELL[0] - 56), SOFT, _font(13))
        _tick(pen, one.mark, x, top - 1)


def _tick(pen: ImageDraw.ImageDraw, mark: Mark, x: int, y: int) -> None:
    """A drawn sign: Pillow's own font has none for right and wrong."""
    pen.ellipse((x, y, x + 16, y + 16), COLORS[mark])
    strokes = {
        Mark.RIGHT: [[(4, 8), (7, 11), (12, 5)]],
        Mark.WRONG: [[(5, 5), (11, 11)], [(11, 5), (5, 11)]],
        Mark.FAILED: [[(8, 3), (8, 9)], [(8, 11), (8, 13)]],
        Mark.OPEN: [[(4, 8), (12, 8)]],
    }
    for stroke in strokes[mark]:
        pen.line([(x + across, y + down) for across, down in stroke], PAPER, 2)


def _wrapped(text: str, font: Font, room: int, most: int) -> list[str]:
    """The text in lines that fit; what is left after the last one is cut."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines[most - 1] = f"{lines[most - 1]} {lines[most]} ..."
    return [_fitting(line, font, room) for line in lines[:most]]


def _fitting(text: str, font: Font, room: int) -> str:
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}...") > room:
        text = text[:-1]
    return f"{text.rstrip(' .')}..."
