"""Parquet: columns in row groups, read a few thousand rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline.errors import UsageError
from pipeline.sources.manifests.records import Broken, Record, Table
from pipeline.sources.manifests.source import Source

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet as pq

_ROWS = 4_096


def parquet(source: Source) -> Table:
    """The rows. The list of row groups stands at the end of the file: one that is cut off cannot be read at all."""
    if source.once:
        raise UsageError(detail=f"Parquet cannot be read from {source.shown}: save it as a file first.")
    file = _opened(source)
    return Table(names=tuple(file.schema_arrow.names), records=_records(file), unit="row")


def _opened(source: Source) -> pq.ParquetFile:
    try:
        import pyarrow as pa
        from pyarrow import parquet as pq
    except ModuleNotFoundError:
        why = "its reader is not installed; run: pip install 'pixmill[parquet]'"
        raise UsageError(detail=f"{source.shown} is Parquet: {why}") from None
    try:
        # Without a buffer size, or read ahead, a row group's columns would be held in memory as a whole.
        return pq.ParquetFile(source.name, pre_buffer=False, buffer_size=1 << 18)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(detail=f"{source.shown} cannot be read as Parquet: {_line(error)}") from error


def _records(file: pq.ParquetFile) -> Iterator[Record]:
    """A row group that is damaged costs its own rows."""
    import pyarrow as pa

    begin = 0
    for group in range(file.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        number = begin
        try:
            for batch in file.iter_batches(batch_size=_ROWS, row_groups=[group], use_threads=False):
                for values in _rows(batch):
                    number += 1
                    yield number, values
        except (pa.ArrowException, OSError, ValueError) as error:
            yield number + 1, Broken(f"the file is damaged here, and rows up to {end:,} are lost ({_line(error)})")
        begin = end


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    names = batch.schema.names
    for cells in zip(*(_values(column) for column in batch.columns), strict=True):
        yield dict(zip(names, cells, strict=True))


def _values(column: pa.Array) -> list[Any]:
    """Values that JSON can hold: moments and decimals as text, pictures' bytes left out."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_floating(kind):
        return [_simple(value) for value in _plain(column)]
    if _holds_json(kind):
        return _plain(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [None] * len(column)
    try:
        return _plain(column.cast(pa.string()))
    except pa.ArrowException:  # nested: dates within lists, and the like
        return [_simple(value) for value in column.to_pylist()]


def _plain(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return values


def _holds_json(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _holds_json(kind.value_type)
    plain = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    return any(fits(kind) for fits in plain)


def _simple(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _simple(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_simple(inner) for inner in value]
    if isinstance(value, bytes):
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
