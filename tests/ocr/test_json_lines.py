"""Record files that other programs wrote: byte order marks, capitals, UTF-16, JSON arrays, packed files."""

import bz2
import gzip
import io
import json
import lzma
import pathlib
import subprocess
import sys
import zipfile

import pytest
from records_for_tests import found, record, sha, write

from posterfusion_jax.datasets.imdb_posters.inputs import collect_inputs
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.sources.imdb_folder import ImdbFolderSource
from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.records import json_lines
from posterfusion_jax.ocr.records.compaction import compact, describe
from posterfusion_jax.ocr.records.record import from_json, to_json
from posterfusion_jax.ocr.records.store import RecordWriter, load_records
from posterfusion_jax.posters.folder import record_files

RECORDS = [
    record(str(k), f"WORDS {k} \u00e9\u4e2d\nLINE, [TWO] {{", engine="gemini" if k % 2 else "rapidocr") for k in range(5)
]
LINES = [to_json(r) for r in RECORDS]
PLAIN = "".join(line + "\n" for line in LINES)
FIELDS = [json.loads(line) for line in LINES]


def zipped(name: str, text: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, text)
    return data.getvalue()


def capitals(line: str) -> str:
    fields = json.loads(line)
    return line.replace(fields["sha256"], fields["sha256"].upper())


IN_PLACE = {
    "byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "marks in the midst": b"".join(b"\xef\xbb\xbf" + (line + "\n").encode() for line in LINES),
    "capitals": "".join(capitals(line) + "\n" for line in LINES).encode(),
    "capitals, mark, CRLF": b"\xef\xbb\xbf" + "".join(capitals(line) + "\r\n" for line in LINES).encode(),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "blank lines": PLAIN.replace("\n", "\n\n \t\r\n").encode(),
    "commas": PLAIN.replace("}\n", "},\n").encode(),
    "NUL bytes around": b"".join(b"\0\0\0\0" + line.encode() + b"\0\0\n" for line in LINES),
    "no line end": PLAIN.rstrip().encode(),
}
REWRITTEN = {
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16 without a mark": PLAIN.encode("utf-16-le"),
    "UTF-16 big-endian": b"\xfe\xff" + PLAIN.replace("\n", "\r\n").encode("utf-16-be"),
    "CR only": PLAIN.replace("\n", "\r").encode(),
    "array on one line": json.dumps(FIELDS).encode(),
    "array, a record a line": ("[\n" + ",\n".join(LINES) + "\n]\n").encode(),
    "array, indented": json.dumps(FIELDS, indent=2, ensure_ascii=False).encode(),
    "array, mark": b"\xef\xbb\xbf" + json.dumps(FIELDS, indent=1).replace("\n", "\r\n").encode(),
    "array in UTF-16": json.dumps(FIELDS, indent=1).encode("utf-16"),
    "indented records": "\n".join(json.dumps(fields, indent=2) for fields in FIELDS).encode(),
    "gzip": gzip.compress(PLAIN.encode()),
    "gzip of an array": gzip.compress(json.dumps(FIELDS).encode()),
    "bzip2": bz2.compress(PLAIN.encode()),
    "xz": lzma.compress(PLAIN.encode()),
    "zip": zipped("ocr.jsonl", PLAIN),
}


@pytest.mark.parametrize("data", [*IN_PLACE.values(), *REWRITTEN.values()], ids=[*IN_PLACE, *REWRITTEN])
def test_all_records_are_read(tmp_path, data):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(data)
    for _ in range(2):  # without and with an index
        records = load_records([path])
        assert records.skipped == []
        assert list(records) == RECORDS
        assert [records.find(r.sha256) for r in RECORDS] == RECORDS
        assert list(records.latest("gemini")) == RECORDS[1::2]
    assert path.read_bytes() == data


@pytest.mark.parametrize("form", IN_PLACE)
def test_records_are_appended_to_files_that_are_read_in_place(tmp_path, form):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(IN_PLACE[form])
    with RecordWriter(path) as store:
        store.append(record("new", "NEW"))
        assert found(store, "new") == "NEW"
    assert list(load_records([path])) == [*RECORDS, record("new", "NEW")]


@pytest.mark.parametrize("form", REWRITTEN)
def test_nothing_is_appended_to_the_others(tmp_path, form):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(REWRITTEN[form])
    store = RecordWriter(path)
    assert found(store, "1") == RECORDS[1].text
    with pytest.raises(InputError, match=r"cannot be appended to: it is not a file of JSON lines \(.*ocr_records\.py compact"):
        store.append(record("new"))
    assert path.read_bytes() == REWRITTEN[form]


@pytest.mark.parametrize("form", REWRITTEN)
def test_a_compaction_writes_them_as_json_lines(tmp_path, form):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(REWRITTEN[form])
    assert compact(path).form
    assert [from_json(line) for line in path.read_text().splitlines()] == RECORDS
    assert compact(path).form == ""
    with RecordWriter(path) as store:
        store.append(record("new", "NEW"))
    assert len(load_records([path])) == 6


def test_a_packed_file_is_not_compacted(tmp_path):
    path = tmp_path / "ocr.jsonl.gz"
    path.write_bytes(REWRITTEN["gzip"])
    with pytest.raises(InputError, match="are packed"):
        compact(path)
    assert path.read_bytes() == REWRITTEN["gzip"]
    assert describe(path).images == 5


def test_bad_lines_of_such_files_are_named_and_counted(tmp_path):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(gzip.compress(("no json\n" + PLAIN + "\0\0\n").encode()))
    records = load_records([path])
    assert [what for what, _ in records.skipped] == [f"{path}:1", f"{path}:7"]
    assert "nothing but NUL bytes" in records.skipped[1].reason
    path.write_text(json.dumps([FIELDS[0], {**FIELDS[1], "status": "?"}, 7, FIELDS[2]], indent=1))
    records = load_records([path])
    assert list(records) == [RECORDS[0], RECORDS[2]]
    assert [reason.partition(" ")[0] for _, reason in records.skipped] == ["damaged:", "not"]


def test_an_array_that_is_cut_off_loses_only_its_end(tmp_path):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(gzip.compress(json.dumps(FIELDS).encode()[:-30]))
    records = load_records([path])
    assert list(records) == RECORDS[:-1]
    assert len(records.skipped) == 1


def test_a_plain_array_that_is_cut_off_loses_only_its_end(tmp_path):
    for text in (json.dumps(FIELDS), "[\n" + ",\n".join(LINES), json.dumps(FIELDS, indent=2)):
        path = tmp_path / "ocr.jsonl"
        path.write_text(text[:-60])
        assert list(load_records([path])) == RECORDS[:-1]
        assert load_records([path]).skipped


def test_a_large_array_is_read_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "_CHUNK", 100)
    path = tmp_path / "ocr.jsonl"
    path.write_text(json.dumps(FIELDS * 20, indent=1))
    assert list(load_records([path])) == RECORDS * 20


def test_bytes_that_are_no_utf_8_cost_their_record_only(tmp_path):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(json.dumps(FIELDS, ensure_ascii=False, indent=1).encode().replace(b"WORDS 2", b"WORDS \xff"))
    records = load_records([path])
    assert list(records) == [*RECORDS[:2], *RECORDS[3:]]
    assert "utf-8" in records.skipped[0].reason


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_that_is_cut_off_is_named(tmp_path, pack):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(pack(PLAIN.encode())[:-12])
    with pytest.raises(InputError, match=r"OCR records '.*ocr\.jsonl' cannot be read to their end"):
        load_records([path])


def test_the_checksum_still_guards_a_record(tmp_path):
    line = capitals(LINES[0])
    assert from_json(line) == RECORDS[0]
    with pytest.raises(ValueError, match="damaged"):
        from_json(line.replace("WORDS", "WORKS"))
    with pytest.raises(ValueError, match="sha256"):
        from_json(json.dumps({"sha256": "XYZ", "status": "ok", "text": "", "engine": "x"}))
    assert from_json(json.dumps({"sha256": sha("a").upper(), "status": "ok", "text": "", "engine": "x"})).sha256 == sha("a")


def test_an_index_of_before_is_made_again(tmp_path):
    """Its entries would keep the lines as bad ones that can be read now."""
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(IN_PLACE["capitals, mark, CRLF"])
    script = (
        "import sys; from posterfusion_jax.ocr.records import record, index, indexed_file, record_lines, store\n"
        "index._FORMAT = 12345; indexed_file.from_json = record_lines.from_json = lambda line: record.from_json('{')\n"
        "print(len(store.load_records([sys.argv[1]]).skipped))"
    )
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script, path], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5"]
    assert list(load_records([path])) == RECORDS


def test_which_files_of_a_folder_hold_records(tmp_path, caplog):
    for name in ("ocr.jsonl", "ocr.jsonl.gz", "ocr.json", "ocr-1.jsonl.xz", "ocr-0.jsonl", "ocr.jsonl.index", "ocr (1).jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "OCR.JSONL.txt").touch()
    names = [path.name for path in record_files(tmp_path)]
    assert names == ["ocr-0.jsonl", "ocr-1.jsonl.xz", "ocr.json", "ocr.jsonl.gz", "ocr.jsonl"]
    assert "'ocr (1).jsonl' is not read" in caplog.text
    assert "'OCR.JSONL.txt' is not read" in caplog.text


@pytest.mark.parametrize("data", [IN_PLACE["capitals, mark, CRLF"], REWRITTEN["UTF-16"]])
def test_a_build_reads_the_same_texts(tmp_path, data):
    import imdb_folder

    folder = imdb_folder.make_folder(tmp_path / "posters", films=5, read_every=1)
    plain = collect_inputs(ImdbFolderSource(folder), BuildOptions())
    lines = (folder / "ocr.jsonl").read_text()
    other = "".join(capitals(line) + "\r\n" for line in lines.splitlines())
    (folder / "ocr.jsonl").write_bytes(("\ufeff" + other).encode("utf-8" if data.startswith(b"\xef") else "utf-16"))
    again = collect_inputs(ImdbFolderSource(folder), BuildOptions())
    assert dict(again.texts) == dict(plain.texts)
    assert len(plain.texts) == 11
    assert again.fingerprint == plain.fingerprint


def test_writing_helper_stays_plain(tmp_path):
    write(tmp_path / "ocr.jsonl", *RECORDS)
    assert json_lines.rewrite_as_lines(tmp_path / "ocr.jsonl") is None
