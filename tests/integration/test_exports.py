"""What was exported, opened by readers that are not ours: each in a process of its own, as its users have it.

CSV and Parquet: pyarrow. Image folder: Hugging Face's datasets. COCO: pycocotools. XMP: Exiv2, by pyexiv2. VQAv2 has
no reader on PyPI; Label Studio's drags 40 packages in: their published layouts are checked by hand.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipeline.export import export
from pipeline.export.order import OnExists, Order, Pictures, Tally
from pipeline.locators import locate
from pipeline.remote.cache import Cache
from pipeline.remote.source import Tag
from pipeline.store.rows import ItemRow
from tests.archives import tar, zipped
from tests.house import colour, draw, draw_many
from tests.items import NASTY, item, place

MANY = 10_000
SHARED = {"nested": {"a": ["ü"]}, "mixed": 1}


def put(format: str, target: Path, *items: ItemRow, **options: Any) -> Tally:
    return export(items, format, Order(target=str(target), **options))


def reading(code: str, *args: str | os.PathLike[str], **environment: str) -> Any:
    """What foreign code makes of files: it leaves its findings in `found`."""
    program = f"import sys, json\nargs = sys.argv[1:]\n{code}\nprint(json.dumps(found, default=str))"
    command = [sys.executable, "-c", program, *map(os.fspath, args)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, env={**os.environ, **environment}, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def nasty() -> list[ItemRow]:
    """Every troublesome text as an answer, as a cell of a column, and under a name that is no UTF-8."""
    shared = [{"theirs": text, **SHARED} for text in NASTY]
    names = [f"/p/{row}-\udcff\n{row}.jpg".encode("utf-8", "surrogateescape") for row in range(len(NASTY))]
    return [
        item(row, names[row], text=text, custom_id=f"id {row}", columns=shared[row]) for row, text in enumerate(NASTY)
    ] + [item(len(NASTY), text=None, columns={"mixed": "b"}), item(len(NASTY) + 1, columns={"late\nname": 2.5})]


def many() -> list[ItemRow]:
    return [item(row, f"/p/{row:012}.jpg", text=NASTY[row % 8], columns={"n": row}) for row in range(MANY)]


# --- tables ----------------------------------------------------------------------------------------

CSV = """
from pyarrow import csv
text = csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
table = csv.read_csv(args[0], parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=text)
"""
PARQUET = """
from pyarrow import parquet
table = parquet.read_table(args[0])
"""
FOUND = """
found = {"rows": table.to_pylist(), "types": {f.name: str(f.type) for f in table.schema}}
"""


@pytest.mark.parametrize(("format", "code"), [("csv", CSV), ("parquet", PARQUET)])
def test_tables_in_pyarrow(format: str, code: str, tmp_path: Path) -> None:
    put(format, tmp_path / "out", *nasty())
    found = reading(code + FOUND, tmp_path / "out")
    rows, types = found["rows"], found["types"]
    assert [row["text"] for row in rows] == [*NASTY, None, "a cat"]
    assert [row["theirs"] for row in rows] == [*NASTY, None, None]
    assert [row["locator"] for row in rows[:2]] == ["file:///p/0-%FF%0A0.jpg", "file:///p/1-%FF%0A1.jpg"]
    assert (rows[0]["custom_id"], rows[-1]["custom_id"], rows[0]["mixed"]) == ("id 0", None, "1")
    assert (json.loads(rows[0]["nested"]), rows[-1]["late\nname"]) == (SHARED["nested"], 2.5)
    assert (rows[0]["logprob"], rows[0]["cached"], rows[-2]["error_code"]) == (-0.25, False, "image_missing")
    assert rows[0]["created"].startswith("1970-01-12 13:46:40.25")
    assert (types["row"], types["logprob"], types["cached"], types["text"]) == ("int64", "double", "bool", "string")
    assert types["created"].startswith("timestamp")


@pytest.mark.parametrize(("format", "code"), [("csv", CSV), ("parquet", PARQUET)])
def test_many_rows_in_pyarrow(format: str, code: str, tmp_path: Path) -> None:
    put(format, tmp_path / "out", *many(), item(MANY, text=None))
    summary = 'found = [table.num_rows, sum(table["n"].to_pylist()[:-1]), table["text"].null_count]'
    assert reading(code + summary, tmp_path / "out") == [MANY + 1, sum(range(MANY)), 1]


def test_parquet_is_written_in_row_groups(tmp_path: Path) -> None:
    put("parquet", tmp_path / "out", *many(), item(MANY))
    code = "from pyarrow import parquet\nfound = parquet.ParquetFile(args[0]).num_row_groups"
    assert reading(code, tmp_path / "out") == 2


def test_an_export_of_nothing_is_a_table_without_rows(tmp_path: Path) -> None:
    put("csv", tmp_path / "out.csv")
    put("parquet", tmp_path / "out.parquet")
    assert reading(CSV + "found = table.num_rows", tmp_path / "out.csv") == 0
    assert reading(PARQUET + "found = table.num_rows", tmp_path / "out.parquet") == 0


# --- image folder ----------------------------------------------------------------------------------

DATASETS = """
import datasets
data = datasets.load_dataset("imagefolder", data_dir=args[0], split="train")
rows = [{**row, "image": [*row["image"].convert("RGB").getpixel((0, 0))]} for row in data]
found = {"rows": rows, "features": list(data.features)}
"""


def folder_of(tmp_path: Path, out: Path) -> Any:
    home = str(tmp_path / "hf")
    return reading(DATASETS, out, HF_HOME=home, HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")


@pytest.mark.parametrize("pictures", [Pictures.LINK, Pictures.COPY])
def test_an_image_folder_in_datasets(pictures: Pictures, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    (folder / "trip").mkdir(parents=True)
    names = [b"a.bmp", b"\xff \xc3\xbc#%.bmp", b"trip/b.bmp"]
    for number, name in enumerate(names):
        draw(folder / os.fsdecode(name), number)
    places = [os.fsencode(folder) + b"/" + name for name in names]
    items = [item(row, path, text=NASTY[row], columns={"shelf": row}) for row, path in enumerate(places)]
    again = item(0, places[0], text="two", ask=1, columns={"shelf": 0, "other_file_name": "x"})
    order = {"pictures": pictures, "image_root": folder}
    tally = put("imagefolder", out, items[0], again, *items[1:], item(9, folder / "gone.bmp"), **order)
    assert (tally.written, tally.left_out) == (4, {"about pictures that are no files here": 1})
    found = folder_of(tmp_path, out)
    assert found["features"] == ["image", "question", "text", "model", "shelf", "other_file_name_column"]
    assert [row["text"] for row in found["rows"]] == [NASTY[0], "two", NASTY[1], NASTY[2]]
    assert [row["image"] for row in found["rows"]] == [[0, 0, 77], [0, 0, 77], [1, 0, 77], [2, 0, 77]]
    assert (out / "%FF ü#%.bmp").exists()
    assert (out / "a.bmp").is_symlink() == (pictures is Pictures.LINK)


def seen(tmp_path: Path, out: Path) -> dict[str, int]:
    """What datasets shows of the pictures: the number that each is drawn by, by the text about it."""
    return {row["text"]: row["image"][0] for row in folder_of(tmp_path, out)["rows"]}


def drawn(tmp_path: Path, number: int) -> bytes:
    return draw(tmp_path / "drawn.bmp", number).read_bytes()


def inside(archive: Path, *members: bytes) -> list[ItemRow]:
    """An item about each member, whose text is its number."""
    locators = [locate(archive, None, os.fsdecode(member)) for member in members]
    return [item(number, place(locator), text=str(number)) for number, locator in enumerate(locators, 1)]


@pytest.mark.parametrize("archived", [tar, zipped])
def test_members_of_archives_in_an_image_folder(
    archived: Callable[[Path, Mapping[str, bytes]], Path], tmp_path: Path
) -> None:
    names = ["a.bmp", "trip/b.bmp", "c\\d.bmp", "c%5Cd.bmp", "x//e.bmp", "x/e.bmp", "ü #\n.bmp", "long" * 60 + ".bmp"]
    members = {name: drawn(tmp_path, number) for number, name in enumerate(names, 1)}
    archive, out = archived(tmp_path / "shard.x", members), tmp_path / "out"
    archive = archive.rename(tmp_path / f"shard.{'tar' if archived is tar else 'zip'}")
    asked = [*inside(archive, *map(os.fsencode, names)), item(9, place(locate(archive, None, "gone.bmp")))]
    tally = put("imagefolder", out, *asked, image_root=tmp_path)
    assert tally.written == len(names)
    assert tally.left_out == {"about members of archives that cannot be read here (image_missing)": 1}
    assert seen(tmp_path, out) == {str(number): number for number in range(1, len(names) + 1)}
    assert (out / archive.name / "trip" / "b.bmp").read_bytes() == members["trip/b.bmp"]
    made = {path: path.stat().st_ino for path in out.rglob("*.bmp")}
    assert (len(made), put("imagefolder", out, *asked, image_root=tmp_path).written) == (len(names), len(names))
    assert made == {path: path.stat().st_ino for path in out.rglob("*.bmp")}, "the same command goes on"


def test_what_cannot_be_taken_out_of_an_archive_is_left_out(tmp_path: Path) -> None:
    picture = drawn(tmp_path, 1)
    archive = tar(
        tmp_path / "a.tar", {"../a.bmp": picture, "b.bmp": picture, "b.bmp/c.bmp": picture, "big.bmp": picture * 9}
    )
    asked = inside(archive, b"../a.bmp", b"b.bmp", b"b.bmp/c.bmp", b"big.bmp")
    order = {"image_root": tmp_path, "max_picture_bytes": len(picture)}
    tally = put("imagefolder", tmp_path / "out", *asked, **order)
    assert tally.left_out == {
        "about members of archives that cannot be read here (image_too_large)": 1,
        "whose place another file has (--on-exists overwrite replaces it)": 1,
    }
    assert sorted(os.listdir(tmp_path / "out" / "a.tar")) == sorted(["b.bmp", "%2E%2E"])
    assert seen(tmp_path, tmp_path / "out").keys() == {"1", "2"}
    tally = put("imagefolder", tmp_path / "no", *asked, image_root=tmp_path, allowed_roots=(tmp_path / "elsewhere",))
    assert tally.left_out == {"about members of archives that cannot be read here (forbidden_path)": 4}
    tally = put("imagefolder", tmp_path / "none", *asked, image_root=tmp_path, pictures=Pictures.NONE)
    assert (tally.written, tally.left_out.total()) == (0, 4)


def test_fetched_pictures_in_an_image_folder(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "fetched", 1_000_000)
    addresses = [
        "https://example.org/trip/a.bmp",
        "https://example.org/i?id=1&token=secret",
        "https://example.org/i?id=2&token=secret",
        "https://example.org:8443/a%20b//c*.bmp",
        "s3://bucket/" + "long/" * 60 + "d.bmp",
        "https://example.org/",
    ]
    for number, address in enumerate(addresses, 1):
        cache.keep(address, Tag(), [drawn(tmp_path, number)]).close()
    asked = [item(number, place(address), text=str(number)) for number, address in enumerate(addresses, 1)]
    gone, out = item(9, place("https://example.org/gone.bmp")), tmp_path / "out"
    tally = put("imagefolder", out, *asked, gone, fetched=cache.folder)
    assert tally.left_out == {"about addresses whose pictures are not among the fetched ones here": 1}
    assert seen(tmp_path, out) == {str(number): number for number in range(1, len(addresses) + 1)}
    assert (out / "_https/example.org/trip/a.bmp").read_bytes() == drawn(tmp_path, 1)
    assert not [path for path in out.rglob("*") if "secret" in path.name]
    assert put("imagefolder", tmp_path / "no", *asked).left_out.total() == len(asked)


@pytest.mark.soak
def test_a_large_image_folder_in_datasets(tmp_path: Path) -> None:
    pictures = draw_many(tmp_path / "photos", MANY)
    items = [item(row, picture, text=NASTY[row % 8], columns={"n": row}) for row, picture in enumerate(pictures)]
    put("imagefolder", tmp_path / "out", *items, image_root=tmp_path / "photos")
    found = folder_of(tmp_path, tmp_path / "out")["rows"]
    assert [row["n"] for row in found] == list(range(MANY))
    assert [row["image"] for row in found] == [list(colour(row)) for row in range(MANY)]


def test_an_image_folder_made_of_the_pictures_own(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    draw(tmp_path / "out" / "a.bmp", 5)
    tally = put("imagefolder", tmp_path / "out", item(0, tmp_path / "out/a.bmp"), item(1), pictures=Pictures.NONE)
    assert (tally.written, tally.left_out.total()) == (1, 1)
    assert folder_of(tmp_path, tmp_path / "out")["rows"][0]["image"] == [5, 0, 77]
    assert sorted(os.listdir(tmp_path / "out")) == ["a.bmp", "metadata.jsonl"]


def test_an_image_folder_goes_on_and_harms_no_other_file(tmp_path: Path) -> None:
    source, out = draw(tmp_path / "a.bmp", 1), tmp_path / "out"
    asked = item(0, source)
    put("imagefolder", out, asked, image_root=tmp_path)
    link = (out / "a.bmp").lstat()
    put("imagefolder", out, asked, image_root=tmp_path)
    assert (out / "a.bmp").lstat() == link
    (out / "a.bmp").unlink()
    (out / "a.bmp").write_text("mine")
    tally = put("imagefolder", out, asked, image_root=tmp_path)
    assert ((out / "a.bmp").read_text(), tally.written) == ("mine", 0)
    put("imagefolder", out, asked, image_root=tmp_path, on_exists=OnExists.OVERWRITE, pictures=Pictures.COPY)
    assert (out / "a.bmp").read_bytes() == source.read_bytes()
    copy = (out / "a.bmp").stat()
    put("imagefolder", out, asked, image_root=tmp_path, pictures=Pictures.COPY)
    assert (out / "a.bmp").stat().st_ino == copy.st_ino
    assert sorted(os.listdir(out)) == ["a.bmp", "metadata.jsonl"]


# --- data sets' results ----------------------------------------------------------------------------

COCO = """
from pycocotools.coco import COCO
truth = COCO(args[0])
loaded = truth.loadRes(args[1])
found = {str(image): [one["caption"] for one in loaded.imgToAnns[image]] for image in loaded.getImgIds()}
"""


def test_captions_in_pycocotools(tmp_path: Path) -> None:
    texts = dict(enumerate(NASTY, 1))
    images = [{"id": id, "file_name": f"{id}.jpg"} for id in [*texts, 42, 77]]
    (tmp_path / "truth.json").write_text(json.dumps({"images": images, "annotations": []}))
    items = [item(id, text=text, custom_id=str(id)) for id, text in texts.items()]
    by_name, by_column = item(90, "/p/COCO_val2014_000000000042.jpg"), item(91, custom_id="x", columns={"image_id": 77})
    tally = put("coco", tmp_path / "out.json", *items, by_name, by_column, item(92))
    assert tally.left_out == {"without an image_id": 1}
    found = reading(COCO, tmp_path / "truth.json", tmp_path / "out.json")
    assert found == {**{str(id): [text] for id, text in texts.items()}, "42": ["a cat"], "77": ["a cat"]}


def test_many_captions_in_pycocotools(tmp_path: Path) -> None:
    images = [{"id": id} for id in range(MANY)]
    (tmp_path / "truth.json").write_text(json.dumps({"images": images, "annotations": []}))
    put("coco", tmp_path / "out.json", *many())
    summary = "found = len(found)"
    assert reading(COCO + summary, tmp_path / "truth.json", tmp_path / "out.json") == MANY


def test_results_for_vqav2(tmp_path: Path) -> None:
    """A list of objects with these two fields: https://visualqa.org/evaluation.html."""
    items = [item(row, text=text, custom_id=str(row)) for row, text in enumerate(NASTY)]
    named = item(90, custom_id="x", columns={"question_id": 458752000})
    tally = put("vqav2", tmp_path / "out.json", *items, named, item(91))
    found = json.loads((tmp_path / "out.json").read_text())
    assert found[:-1] == [{"question_id": row, "answer": text} for row, text in enumerate(NASTY)]
    assert found[-1] == {"question_id": 458752000, "answer": "a cat"}
    assert tally.left_out == {"without a question_id": 1}


TASKS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["data", "predictions"],
        "properties": {
            "data": {"type": "object", "required": ["image"], "properties": {"image": {"type": "string"}}},
            "predictions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["result"],
                    "properties": {
                        "model_version": {"type": "string"},
                        "score": {"type": "number", "minimum": 0, "maximum": 1},
                        "result": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["id", "from_name", "to_name", "type", "value"],
                                "properties": {"to_name": {"const": "image"}},
                                "oneOf": [
                                    {
                                        "properties": {
                                            "type": {"const": kind},
                                            "value": {
                                                "required": [field],
                                                "properties": {field: value},
                                                "additionalProperties": False,
                                            },
                                        }
                                    }
                                    for kind, field, value in (
                                        ("textarea", "text", {"type": "array", "items": {"type": "string"}}),
                                        ("choices", "choices", {"type": "array", "items": {"type": "string"}}),
                                        ("number", "number", {"type": "number"}),
                                    )
                                ],
                            },
                        },
                    },
                },
            },
        },
    },
}
"""as https://labelstud.io/guide/predictions has it"""


def test_predictions_for_label_studio(tmp_path: Path) -> None:
    cat = os.fsencode(tmp_path) + b"/\xff cat.jpg"
    items = [
        item(0, cat, custom_id="1", columns={"shelf": 3}),
        item(0, cat, ask=1, text="red", name="color", form={"kind": "choices", "choices": ["red"]}),
        item(0, cat, ask=2, text="3", name="count", form={"kind": "number", "integer": True}),
        item(1, "https://example.org/dog.jpg", text=NASTY[1]),
        item(2, "/elsewhere/cow.jpg"),
        item(3, "file:///x.zip#a.jpg"),
    ]
    tally = put("labelstudio", tmp_path / "out.json", *items, image_root=tmp_path)
    tasks = json.loads((tmp_path / "out.json").read_text())
    jsonschema.validate(tasks, TASKS)
    assert (len(tasks), tally.left_out) == (2, {"about pictures that Label Studio could not open": 2})
    first, second = tasks
    assert first["data"] == {"shelf": 3, "image": "/data/local-files/?d=%FF%20cat.jpg", "custom_id": "1"}
    (prediction,) = first["predictions"]
    assert prediction["model_version"] == "llava abababab"
    assert [(one["from_name"], *one["value"].values()) for one in prediction["result"]] == [
        ("caption", ["a cat"]),
        ("color", ["red"]),
        ("count", 3),
    ]
    assert second["data"]["image"] == "https://example.org/dog.jpg"
    assert second["predictions"][0]["result"][0]["value"] == {"text": [NASTY[1]]}


def test_many_tasks_for_label_studio(tmp_path: Path) -> None:
    put("labelstudio", tmp_path / "out.json", *many(), image_root=Path("/p"))
    tasks = json.loads((tmp_path / "out.json").read_text())
    assert (len(tasks), tasks[-1]["data"]["n"]) == (MANY, MANY - 1)


# --- sidecars --------------------------------------------------------------------------------------

EXIV2 = """
import pyexiv2
def seen(path):
    with pyexiv2.Image(path) as image:
        return image.read_xmp()
found = [seen(path) for path in args]
"""
DESCRIPTION, SUBJECT = "Xmp.dc.description", "Xmp.dc.subject"
DARKTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:darktable="http://darktable.sf.net/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmp:Rating="4" darktable:auto_presets_applied="1">
<dc:subject><rdf:Bag><rdf:li>cats</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_descriptions_in_exiv2(tmp_path: Path) -> None:
    pictures = [tmp_path / f"{row}.jpg" for row in range(len(NASTY))]
    items = [item(row, pictures[row], text=text) for row, text in enumerate(NASTY)]
    export(items, "xmp", Order(target=None, beside=True))
    found = reading(EXIV2, *(f"{picture}.xmp" for picture in pictures))
    assert [one[DESCRIPTION] for one in found] == [{'lang="x-default"': text} for text in NASTY]


@pytest.mark.soak
def test_many_descriptions_in_exiv2(tmp_path: Path) -> None:
    items = [item(row, tmp_path / f"{row}.jpg", text=f"{NASTY[row % 8]} {row}") for row in range(MANY)]
    export(items, "xmp", Order(target=None, beside=True))
    code = EXIV2.replace("for path in args", f"for path in (f'{{args[0]}}/{{row}}.jpg.xmp' for row in range({MANY}))")
    found = reading(code, tmp_path)
    assert [one[DESCRIPTION]['lang="x-default"'] for one in found] == [one.answer.text for one in items if one.answer]


def test_a_description_joins_what_darktable_wrote(tmp_path: Path) -> None:
    sidecar = tmp_path / "cat.jpg.xmp"
    sidecar.write_text(DARKTABLE)
    order = Order(target=None, beside=True)
    assert export([item(0, tmp_path / "cat.jpg")], "xmp", order).written == 0
    overwriting = Order(target=None, beside=True, on_exists=OnExists.OVERWRITE)
    assert export([item(0, tmp_path / "cat.jpg")], "xmp", overwriting).written == 1
    (found,) = reading(EXIV2, sidecar)
    assert found[DESCRIPTION] == {'lang="x-default"': "a cat"}
    assert (found["Xmp.xmp.Rating"], found["Xmp.darktable.auto_presets_applied"], found[SUBJECT]) == (
        "4",
        "1",
        ["cats"],
    )
    assert re.search("<darktable|darktable:", sidecar.read_text())


def test_many_sidecars(tmp_path: Path) -> None:
    items = [item(row, f"/p/{row % 10}/{row}.jpg", text=f"caption {row}") for row in range(MANY)]
    tally = put("txt", tmp_path / "out", *items, image_root=Path("/p"))
    assert tally.written == MANY
    assert (tmp_path / "out/7/1237.txt").read_text() == "caption 1237\n"
    again = put("txt", tmp_path / "out", *items, image_root=Path("/p"))
    assert (again.written, again.left_out) == (0, {"whose file is there already": MANY})
