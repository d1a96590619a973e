from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from pipeline.errors import UsageError
from pipeline.locators import display
from pipeline.settings import Settings, read_settings
from pipeline.sources.manifests.columns import Asked
from pipeline.sources.manifests.compression import BLOCK, blocks
from pipeline.sources.manifests.lines import Lines
from pipeline.sources.manifests.manifest import Manifest
from pipeline.sources.manifests.source import Source
from pipeline.sources.rows import BadRow, Row


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(environ={"HOME": str(tmp_path)}, folder=tmp_path)


@pytest.fixture
def notes() -> list[str]:
    return []


Read = Callable[..., list[Row | BadRow]]


@pytest.fixture
def read(tmp_path: Path, settings: Settings, notes: list[str]) -> Read:
    """The rows of a manifest that holds this."""

    def read(
        content: str | bytes, name: str = "m.csv", *, most: int = 16, questions: bool = True, **options: Any
    ) -> list[Row | BadRow]:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        asked = Asked(**{key: options.pop(key) for key in set(options) & set(Asked.__dataclass_fields__)})
        limits = {key: options.pop(key) for key in ("max_line_bytes", "max_field_bytes") if key in options}
        manifest = Manifest(file=str(tmp_path / name), columns=asked, **options)
        bounded = replace(settings, **limits)
        return list(manifest.rows(bounded, warn=notes.append, questions=questions, most_pictures=most))

    return read


def good(rows: list[Row | BadRow]) -> list[Row]:
    assert [row.message for row in rows if isinstance(row, BadRow)] == []
    return [row for row in rows if isinstance(row, Row)]


def names(row: Row | BadRow, folder: Path) -> list[str]:
    assert isinstance(row, Row)
    return [display(picture.locator).removeprefix(f"{folder}/") for picture in row.pictures]


def complaints(rows: list[Row | BadRow]) -> list[str]:
    return [row.message for row in rows if isinstance(row, BadRow)]


class TestCsv:
    def test_obvious_columns_are_guessed_and_said_and_the_others_pass_through(
        self, read: Read, tmp_path: Path, notes: list[str]
    ) -> None:
        (tmp_path / "a.jpg").write_bytes(b"abc")
        rows = good(read("id,file_name,question,price,split\n7,a.jpg,What?,3,train\n8,b.jpg,Who?,,test\n"))
        assert [names(row, tmp_path) for row in rows] == [["a.jpg"], ["b.jpg"]]
        assert [row.pictures[0].size for row in rows] == [3, None]
        assert [(row.custom_id, row.questions) for row in rows] == [("7", ("What?",)), ("8", ("Who?",))]
        assert [row.columns for row in rows] == [{"price": "3", "split": "train"}, {"price": "", "split": "test"}]
        assert notes == ["Columns: image 'file_name', question 'question', id 'id'; 2 others pass through."]

    def test_what_is_named_is_not_guessed(self, read: Read, notes: list[str]) -> None:
        content = "image,shot,question,q2,id,nr,who\na.jpg,b.jpg,One?,Two?,1,x,Be brief.\n"
        (row,) = good(read(content, image="shot", questions=False, id="nr", system="who"))
        assert (row.custom_id, row.questions, row.system) == ("x", (), "Be brief.")
        assert row.columns == {"image": "a.jpg", "question": "One?", "q2": "Two?", "id": "1"}
        assert display(row.pictures[0].locator).endswith("/b.jpg")
        assert notes == []

    def test_several_columns_of_questions_ask_several_and_empty_cells_ask_nothing(
        self, read: Read, settings: Settings, tmp_path: Path
    ) -> None:
        (tmp_path / "q.csv").write_text("image,q1,q2\na.jpg,One?,Two?\nb.jpg,,Two?\nc.jpg,, \n")
        manifest = Manifest(file=str(tmp_path / "q.csv"), columns=Asked(questions=("q1", "q2")))
        one, two, none = manifest.rows(settings, warn=print, questions=True, most_pictures=16)
        assert isinstance(one, Row) and one.questions == ("One?", "Two?")
        assert isinstance(two, Row) and two.questions == ("Two?",)
        assert isinstance(none, BadRow)
        assert none.message == "line 4: the row cannot be used: it has no question"

    def test_a_manifest_without_a_picture_s_column_shows_what_it_has(self, read: Read) -> None:
        with pytest.raises(UsageError, match=r"say which with --image-col\. It has 'colour', 'shape'\.$"):
            read("colour,shape\nred,round\n")
        with pytest.raises(UsageError, match=r"--image-col: .*no column 'shaep', did you mean 'shape'\? It has"):
            read("colour,shape\nred,round\n", image="shaep")
        with pytest.raises(UsageError, match="is empty: a first line with the names"):
            read("")

    def test_rows_with_other_numbers_of_cells_stay_with_their_line(self, read: Read) -> None:
        rows = read("image,question\na.jpg\nb.jpg,What?\n\nc.jpg,What?,x\nd.jpg,What?,,\n")
        assert complaints(rows) == [
            "line 2: it has 1 cell, the first line names 2 columns",
            "line 5: it has 3 cells, the first line names 2 columns",
        ]
        assert len(rows) == 4

    def test_a_cell_may_hold_lines_and_later_rows_keep_their_numbers(self, read: Read) -> None:
        rows = read('image,question\r\na.jpg,"One\r\ntwo, ""three""?"\r\nb.jpg\r\n')
        assert isinstance(rows[0], Row) and rows[0].questions == ('One\r\ntwo, "three"?',)
        assert complaints(rows) == ["line 4: it has 1 cell, the first line names 2 columns"]

    def test_an_open_quote_costs_no_more_than_a_cell_may_hold(self, read: Read) -> None:
        lines = [f"{number}.jpg,What?" for number in range(40)]
        lines[3] = '3.jpg,"What?'
        rows = read("\n".join(["image,question", *lines]) + "\n", max_field_bytes=100)
        (said,) = complaints(rows)
        assert said.startswith("line 5: a cell is longer than 100 B; is a quote left open? (up to line 1")
        assert isinstance(rows[-1], Row)
        assert len(rows) > 30

    def test_an_open_quote_at_the_end(self, read: Read) -> None:
        rows = read('image,question\na.jpg,What?\nb.jpg,"What?\nc.jpg,Who?\n')
        assert complaints(rows) == ["line 3: a quote is opened and never closed (up to line 4)"]
        assert len(rows) == 2

    def test_a_line_that_is_too_long_is_one_bad_row(self, read: Read, tmp_path: Path) -> None:
        rows = read(f"image,note\na.jpg,{'x' * 300}\nb.jpg,y\n", max_line_bytes=200)
        assert complaints(rows) == ["line 2: the line is longer than 200 B"]
        assert names(rows[1], tmp_path) == ["b.jpg"]
        long = read(f"image,note\na.jpg,{'x' * 3 * BLOCK}\nb.jpg,y\nc.jpg,z\n", max_line_bytes=BLOCK)
        assert complaints(long) == ["line 2: the line is longer than 262 kB"]
        assert len(long) == 3

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_what_separates_cells_is_seen(self, read: Read, delimiter: str) -> None:
        (row,) = good(read(f"image{delimiter}question\na.jpg{delimiter}One, two?\n".replace("One, two", "One")))
        assert row.questions == ("One?",)

    def test_a_byte_order_mark_is_no_part_of_a_name(self, read: Read) -> None:
        assert len(good(read(b"\xef\xbb\xbfimage\na.jpg\n"))) == 1
        with pytest.raises(UsageError, match="is UTF-16"):
            read("image\na.jpg\n".encode("utf-16"))

    def test_a_name_that_is_no_utf8_is_that_file_and_such_a_question_is_refused(
        self, read: Read, tmp_path: Path
    ) -> None:
        (Path(str(tmp_path)) / b"\xff.jpg".decode("utf-8", "surrogateescape")).write_bytes(b"x")
        rows = read(b"image,question,more\n\xff.jpg,What?,\xfe\nb.jpg,Wh\xe4t?,\n")
        assert isinstance(rows[0], Row) and rows[0].pictures[0].size == 1
        assert complaints(rows) == ["line 3: the row cannot be used: what stands in 'question' is not UTF-8"]

    def test_names_that_stand_twice_are_told_apart(self, read: Read) -> None:
        (row,) = good(read("image,note,note,\na.jpg,1,2,3\n"))
        assert row.columns == {"note": "1", "note_3": "2", "column_4": "3"}

    def test_forbidden_paths_keep_their_code(self, read: Read, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "p.csv").write_text("image,id\n../a.jpg,1\nb.jpg,2\n,3\n")
        inside = replace(settings, allowed_roots=(tmp_path,))
        rows = Manifest(file=str(tmp_path / "p.csv")).rows(inside, warn=print, questions=True, most_pictures=16)
        bad, fine, empty = rows
        assert isinstance(bad, BadRow)
        assert (bad.code, bad.custom_id, bad.columns) == ("forbidden_path", "1", {"image": "../a.jpg", "id": "1"})
        assert bad.message == "line 2: the path is not allowed: it lies outside the allowed folders"
        assert isinstance(fine, Row)
        assert isinstance(empty, BadRow) and empty.code == "row_invalid"

    def test_names_start_at_the_root_that_was_given(self, read: Read, tmp_path: Path) -> None:
        (row,) = good(read("image\na.jpg\n", image_root=tmp_path / "elsewhere"))
        assert names(row, tmp_path) == ["elsewhere/a.jpg"]

    def test_names_made_of_columns(self, read: Read, tmp_path: Path) -> None:
        rows = read("image_id,question\n42,What?\nx,Who?\n", pattern="val/COCO_{image_id:012d}.jpg")
        assert names(rows[0], tmp_path) == ["val/COCO_000000000042.jpg"]
        assert complaints(rows)[0].startswith("line 3: the row cannot be used: --image-pattern does not fit it")
        assert complaints(read("id,question\n1,What?\n", pattern="{image_id}.jpg")) == [
            "line 2: the row cannot be used: it has no 'image_id', which --image-pattern uses"
        ]
        for wrong in ("{image_id.__class__}", "{0}", "x.jpg", "{"):
            with pytest.raises(UsageError, match="--image-pattern"):
                read("image_id\n42\n", pattern=wrong)


class TestJsonLines:
    def test_values_keep_their_kinds(self, read: Read) -> None:
        line = {"image": "a.jpg", "id": 7, "question": ["One?", "Two?"], "score": 0.5, "tags": ["x"], "none": None}
        (row,) = good(read(json.dumps(line) + "\n", "m.jsonl"))
        assert (row.custom_id, row.questions) == ("7", ("One?", "Two?"))
        assert row.columns == {"score": 0.5, "tags": ["x"], "none": None}

    def test_columns_need_not_be_in_every_line(self, read: Read) -> None:
        first, second = good(read('{"image": "a.jpg"}\n\n{"image": "b.jpg", "system": "Be brief."}', "m.jsonl"))
        assert (first.system, second.system) == (None, "Be brief.")

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("{", "it is no JSON ("),
            ("[1]", "it is no JSON object"),
            ('{"image": "b.jpg", "x": NaN}', "it is no JSON that can be used (NaN is no value of JSON)"),
            ("[" * 100_000, "it is no JSON"),
            ('{"image": "b.jpg", "x": ' + "9" * 5000 + "}", "it is no JSON that can be used"),
            ('{"image": 3}', "the row cannot be used: pictures are named by text"),
            ('{"picture": "b.jpg"}', "the row cannot be used: it names no picture"),
            (
                '{"image": "b.jpg", "question": {"a": 1}}',
                "the row cannot be used: what stands in 'question' is no text",
            ),
        ],
    )
    def test_a_line_that_cannot_be_used_is_one_bad_row(self, read: Read, line: str, why: str) -> None:
        rows = read(
            f'{{"image": "a.jpg", "question": "What?"}}\n{line}\n{{"image": "c.jpg", "question": "?"}}\n', "m.jsonl"
        )
        (said,) = complaints(rows)
        assert said.startswith(f"line 2: {why}")
        assert len(rows) == 3

    def test_lists_are_found_by_what_they_begin_with(self, read: Read, tmp_path: Path) -> None:
        rows = good(read('[{"image": "a.jpg"}, {"image": "b.jpg", "n": 1.5}]', "m.json"))
        assert [names(row, tmp_path) for row in rows] == [["a.jpg"], ["b.jpg"]]
        assert rows[1].columns == {"n": 1.5}
        cut = read('[{"image": "a.jpg"}, {"image": "b.j', "m.json")
        assert names(cut[0], tmp_path) == ["a.jpg"]
        assert complaints(cut)[0].startswith("item 2: the file cannot be read from here on")


class TestParquet:
    @pytest.fixture
    def table(self) -> pa.Table:
        count = 10
        return pa.table(
            {
                "file_name": [f"{number}.jpg" for number in range(count)],
                "id": list(range(count)),
                "question": ["What?"] * count,
                "score": [float("nan"), *([0.5] * (count - 1))],
                "when": pa.array([0] * count, pa.timestamp("s")),
                "bytes": [b"\xff"] * count,
                "tags": [["x"]] * count,
            }
        )

    def test_values_are_what_json_can_hold(self, read: Read, tmp_path: Path, table: pa.Table) -> None:
        pq.write_table(table, tmp_path / "t.parquet", row_group_size=4)
        rows = good(read((tmp_path / "t.parquet").read_bytes(), "m.parquet"))
        assert [row.custom_id for row in rows] == [str(number) for number in range(10)]
        assert json.dumps(rows[0].columns, allow_nan=False)
        assert rows[0].columns == {"score": None, "when": "1970-01-01 00:00:00.000", "bytes": None, "tags": ["x"]}
        assert rows[1].columns and rows[1].columns["score"] == 0.5

    def test_a_damaged_row_group_costs_its_own_rows(self, read: Read, tmp_path: Path, table: pa.Table) -> None:
        pq.write_table(table, tmp_path / "t.parquet", row_group_size=4, compression="gzip")
        content = bytearray((tmp_path / "t.parquet").read_bytes())
        begin = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(1).column(0).dictionary_page_offset
        content[begin : begin + 60] = b"\xff" * 60
        rows = read(bytes(content), "m.parquet")
        (said,) = complaints(rows)
        assert said.startswith("row 5: the file is damaged here, and rows up to 8 are lost (")
        assert [row.custom_id for row in rows if isinstance(row, Row)] == ["0", "1", "2", "3", "8", "9"]

    def test_one_that_is_cut_off_is_refused_with_a_sentence(self, read: Read, tmp_path: Path, table: pa.Table) -> None:
        pq.write_table(table, tmp_path / "t.parquet")
        with pytest.raises(UsageError, match="cannot be read as Parquet"):
            read((tmp_path / "t.parquet").read_bytes()[:-20], "m.parquet")


class TestSeveralPictures:
    def test_lists_in_csv_are_json(self, read: Read, tmp_path: Path) -> None:
        content = 'images,question\n"[""a.jpg"", ""b.jpg""]",Which?\nc.jpg,Which?\n"[""a.jpg"", 3]",Which?\n[],Which?\n'
        rows = read(content, images="images")
        assert [names(row, tmp_path) for row in rows[:2]] == [["a.jpg", "b.jpg"], ["c.jpg"]]
        assert [said.partition(": ")[0] for said in complaints(rows)] == ["line 4", "line 5"]

    def test_more_than_the_model_takes_are_refused(self, read: Read) -> None:
        content = '{"images": ["a.jpg", "b.jpg"]}\n{"images": ["a.jpg"]}\n'
        assert complaints(read(content, "m.jsonl", most=2)) == []
        (said,) = complaints(read(content, "m.jsonl", most=1))
        assert said == "line 1: the row cannot be used: it asks about 2 pictures at once, and this model takes one"
        (many,) = complaints(read(json.dumps({"images": ["a.jpg"] * 17}) + "\n", "m.jsonl"))
        assert many.endswith("it asks about 17 pictures at once; 16 are the most")


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


class TestCompression:
    @pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd), ("", bytes)])
    def test_compressed_files_are_read_and_what_is_cut_keeps_its_rows(
        self, read: Read, suffix: str, pack: Callable[[bytes], bytes]
    ) -> None:
        lines = "".join(f"{number}.jpg,{hash((number, 'x'))}\n" for number in range(20_000))
        packed = pack(f"image,n\n{lines}".encode())
        assert len(good(read(packed, f"m.csv{suffix}"))) == 20_000
        assert len(good(read(packed + pack(b"last.jpg,1\n"), f"m.csv{suffix}"))) == 20_001
        if suffix:
            cut = read(packed[: len(packed) * 3 // 4], f"m.csv{suffix}")
            (said,) = complaints(cut)
            assert said.endswith("the compressed file ends too early; what follows is lost")
            assert said.startswith(f"line {len(cut) + 1}: ".replace(f"{len(cut) + 1}", f"{len(cut) + 1:,}"))
            assert isinstance(cut[-1], BadRow)

    def test_damage_in_the_middle_keeps_the_rows_before(self, read: Read) -> None:
        packed = bytearray(gzip.compress("".join(f"{hash((n, 'y'))}.jpg,x\n" for n in range(40_000)).encode()))
        packed[len(packed) // 2 :] = random.Random(1).randbytes(len(packed) // 2)
        rows = read(gzip.compress(b"image,n\n") + bytes(packed), "m.csv.gz")
        assert 1000 < len(rows) < 40_000
        assert "the compressed file is damaged" in complaints(rows)[-1]

    def test_a_file_that_is_damaged_from_its_first_byte_is_refused(self, read: Read) -> None:
        with pytest.raises(UsageError, match="cannot be read: the compressed file"):
            read(b"\x1f\x8b" + b"\xff" * 20, "m.csv.gz")

    @given(st.binary(max_size=3000), st.integers(1, 5), st.sampled_from([gzip.compress, zstd]))
    def test_members_and_frames_are_put_together(
        self, content: bytes, parts: int, pack: Callable[[bytes], bytes]
    ) -> None:
        packed = b"".join(pack(content) for _ in range(parts))
        assert b"".join(blocks(io.BytesIO(packed))) == content * parts


class TestStandardInput:
    def test_it_is_read_once_and_recognised_by_its_beginning(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = gzip.compress(b'{"image": "a.jpg"}\n{"image": "b.jpg"}\n')
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        rows = Manifest(file="-").rows(settings, warn=print, questions=True, most_pictures=16)
        assert len(good(list(rows))) == 2

    def test_what_must_be_read_twice_says_so(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"questions": [{"image_id": 1}]}')))
        with pytest.raises(UsageError, match="save it as a file first"):
            Manifest(file="-").rows(settings, warn=print, questions=True, most_pictures=16)


class TestPipes:
    """What a shell makes of <(zcat rows.gz)."""

    @pytest.fixture
    def pipe(self) -> Iterator[Callable[[bytes], str]]:
        reading, writing = os.pipe()

        def holding(content: bytes) -> str:
            with open(writing, "wb") as file:  # noqa: PTH123  a pipe has no path
                file.write(content)
            return f"/dev/fd/{reading}"

        yield holding
        os.close(reading)

    @pytest.mark.parametrize(
        "content",
        [
            b'{"image": "a.jpg"}\n{"image": "b.jpg"}\n',
            b'[{"image": "a.jpg"}, {"image": "b.jpg"}]',
            b"image\na.jpg\nb.jpg\n",
            gzip.compress(b"image\na.jpg\nb.jpg\n"),
        ],
    )
    def test_nothing_of_one_is_lost(self, settings: Settings, pipe: Callable[[bytes], str], content: bytes) -> None:
        manifest = Manifest(file=pipe(content))
        assert not manifest.is_large(settings) and not manifest.has_requests(settings)
        rows = list(manifest.rows(settings, warn=print, questions=True, most_pictures=16))
        assert [names(row, Path.cwd()) for row in rows] == [["a.jpg"], ["b.jpg"]]

    def test_what_must_be_read_twice_says_so(self, settings: Settings, pipe: Callable[[bytes], str]) -> None:
        with pytest.raises(UsageError, match=r"/dev/fd/\d+ only once: save it as a file first"):
            Manifest(file=pipe(b'{"questions": [{"image_id": 1}]}')).rows(
                settings, warn=print, questions=True, most_pictures=16
            )
        with pytest.raises(UsageError, match=r"Parquet cannot be read from standard input: save it as a file first"):
            Manifest(file="-", format="parquet").rows(settings, warn=print, questions=True, most_pictures=16)


@pytest.mark.parametrize("format", ["auto", "openai"])
def test_a_file_that_is_not_there(settings: Settings, tmp_path: Path, format: str) -> None:
    manifest = Manifest(file=str(tmp_path / "gone.csv"), format=format)
    with pytest.raises(UsageError, match=r"--manifest .*gone\.csv: no such file or directory"):
        list(manifest.rows(settings, warn=print, questions=True, most_pictures=16))
    with pytest.raises(UsageError, match=r"--manifest .*gone\.csv: no such file or directory"):
        manifest.is_large(settings)


def test_lines_that_end_as_on_old_machines(read: Read) -> None:
    with pytest.raises(UsageError, match="a carriage return stands in it: save the file with ordinary line ends"):
        read("image,id\ra.jpg,1\rb.jpg,2\r")
    assert "line 2: a carriage return stands in it" in complaints(read("image,id\na.jpg\rb.jpg,2\n"))[0]


def test_an_empty_file_of_no_known_form(read: Read) -> None:
    with pytest.raises(UsageError, match=r"m\.jsonl is empty\.$"):
        read("", "m.jsonl")


def test_a_first_line_that_is_a_whole_picture_does_not_fill_the_screen(read: Read) -> None:
    with pytest.raises(UsageError) as refused:
        read("data:" + "A" * 100_000 + ",b\nx,y\n")
    assert len(str(refused.value)) < 300


# --- whatever a file holds -----------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="#"), min_size=1, max_size=12).filter(
    lambda name: name.strip() and ":" not in name and "\\" not in name
)


@given(
    rows=st.lists(st.tuples(NAMES, TEXTS, TEXTS), max_size=20),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_csv_gives_back_what_python_s_own_writer_wrote(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], quoting: Any
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    with (folder / "m.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=quoting).writerows([("image", "id", "note"), *rows])
    settings = read_settings(environ={"HOME": str(folder)}, folder=folder)
    found = list(Manifest(file=str(folder / "m.csv")).rows(settings, warn=str, questions=True, most_pictures=16))
    assert [(row.custom_id, dict(row.columns or {})) for row in good(found)] == [
        (id or None, {"note": note}) for _, id, note in rows
    ]


@given(
    content=st.binary(max_size=400),
    suffix=st.sampled_from([".csv", ".jsonl", ".json", ".parquet", ".tsv", "", ".csv.gz"]),
)
def test_no_bytes_raise_anything_but_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    beginning = b"image,question\n" if suffix.startswith((".csv", ".tsv")) else b""
    (folder / f"m{suffix}").write_bytes(beginning + content)
    settings = read_settings(environ={"HOME": str(folder)}, folder=folder)
    try:
        rows = list(Manifest(file=str(folder / f"m{suffix}")).rows(settings, warn=str, questions=True, most_pictures=2))
    except UsageError:
        return
    assert all(isinstance(row, Row | BadRow) for row in rows)


@given(
    lines=st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), min_size=1, max_size=10),
    longest=st.integers(5, 50),
)
def test_lines_are_numbered_and_bounded(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], longest: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "m"
    path.write_bytes(b"-\n" + b"\n".join(lines))
    source = Source(str(path), replace(read_settings(environ={"HOME": "/"}), max_line_bytes=longest))
    read = Lines(source)
    found = list(read)[1:]
    for number, (line, got) in enumerate(zip(lines, found, strict=False), 2):
        text = line.decode("utf-8", "surrogateescape")
        if number in read.too_long:
            assert len(text) + 1 > longest
        else:
            assert got.removesuffix("\n") == text
