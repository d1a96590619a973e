"""Parquet: columns with types, compressed, in row groups of which one at a time is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from pipeline.export.files import replacing_bytes
from pipeline.export.order import Order, Tally
from pipeline.export.table import FIELDS, Column, Kind, Table, table

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP = 10_000


@contextmanager
def parquet(order: Order, tally: Tally) -> Iterator[Table]:
    from pyarrow import parquet as pq

    with replacing_bytes(order.file) as file, table(FIELDS, order.file, tally) as rows:
        yield rows
        columns = rows.columns()
        schema = _schema(columns)
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            waiting = rows.rows()
            while group := list(islice(waiting, _GROUP)):
                writer.write_batch(_batch(group, columns, schema))


def _batch(rows: list[list[Any]], columns: Sequence[Column], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    cells = zip(*rows, strict=True)
    arrays = [
        pa.array(_plain(values, column.kind), field.type)
        for values, column, field in zip(cells, columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _plain(values: Sequence[Any], kind: Kind) -> Sequence[Any]:
    if kind is Kind.MOMENT:
        return [None if value is None else round(value * 1e6) for value in values]
    return values


def _schema(columns: Sequence[Column]) -> pa.Schema:
    import pyarrow as pa

    types = {
        Kind.TEXT: pa.string(),
        Kind.TEXTS: pa.list_(pa.string()),
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.SWITCH: pa.bool_(),
        Kind.MOMENT: pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([(column.name, types[column.kind]) for column in columns])
