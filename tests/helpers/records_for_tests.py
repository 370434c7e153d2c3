"""Small records, and the files that hold them."""

import hashlib
import pathlib

from posterfusion_jax.ocr.records.record import OcrRecord, to_json


def sha(image: str) -> str:
    return hashlib.sha256(image.encode()).hexdigest()


def record(
    image: str = "a", text: str = "ALIEN", *, status: str = "ok", engine: str = "rapidocr", version: str = ""
) -> OcrRecord:
    return OcrRecord(sha256=sha(image), status=status, text=text, engine=engine, engine_version=version)


def write(path: pathlib.Path, *records: OcrRecord, end: str = "\n") -> None:
    path.write_text("\n".join(map(to_json, records)) + end, encoding="utf-8")


def found(store, image: str = "a", *, prefer: tuple[str, ...] = ()) -> str | None:
    record = store.find(sha(image), prefer=prefer)
    return record and record.text
