"""Read tables in Parquet, where pyarrow is installed."""

import pathlib
from collections.abc import Iterator

from posterfusion_jax.datasets.tables.rows import BadRow, Row, Rows, list_columns
from posterfusion_jax.errors import InputError

_BATCH = 1024  # rows


def open_parquet_rows(path: pathlib.Path) -> Rows:
    """Open a table in Parquet; columns with the bytes of pictures are left out.

    Raises:
      InputError: pyarrow is not installed, or the file cannot be read.
    """
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet as parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            f"data.table={str(path)!r} is in Parquet, and pyarrow, which reads it, is not installed: pip install pyarrow. Or "
            "export the table as CSV."
        ) from error
    try:
        schema = parquet.read_schema(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"data.table={str(path)!r} cannot be read: {str(error)[:200]}. Is it complete?") from error
    header = tuple(field.name for field in schema if "binary" not in str(field.type).replace("string", ""))
    left = [field.name for field in schema if field.name not in header]
    how = [f"{path.name}: Parquet, columns {list_columns(header)}"]
    if left:
        how.append(f"columns with bytes are not read: {', '.join(left[:5])}; pictures must be files")

    def read() -> Iterator[Row | BadRow]:
        number = 0
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=_BATCH, columns=list(header)):
                    for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                        number += 1
                        yield Row(f"{path.name}, row {number}", ["" if value is None else value for value in values])
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"data.table={str(path)!r} cannot be read after row {number:,}: {str(error)[:200]}.") from error

    return Rows(header, read, tuple(how), files=(path,))
