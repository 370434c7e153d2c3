"""A whole run on a folder full of hostile texts, with a key in the environment, under watch: what comes out, and where."""

import base64
import gzip
import hashlib
import html.parser
import json
import os
import re
import unicodedata
import urllib.parse
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

import gemini_server
import imdb_folder
import pytest
import watched
from hostile_texts import TEXTS

from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.ocr.records.store import load_records
from posterfusion_jax.ocr.text.limits import MAX_CHARACTERS
from posterfusion_jax.utils.console import sanitize

pytestmark = pytest.mark.slow  # a whole run; tests/ocr/test_hostile_texts.py and tests/utils/test_terminal.py have the parts

TOKEN = "hf_neverwritten0123456789"  # of a model hub
FILMS = len(TEXTS)
SHOWN = ("html", "script", "attribute", "markdown", "markdown blocks", "right to left", "formula", "jinja")  # by the report
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class Run(NamedTuple):
    folder: object
    posters: object
    workdir: object
    flags: list[str]
    environment: dict[str, str]
    first: watched.Watched
    answers: dict[str, str]


def one_line(text: str) -> str:
    """What a tab-separated file in UTF-8 can hold of it."""
    return "".join(" " if c in "\t\n\r" else c for c in text).encode("utf-8", "replace").decode()


def file_name(text: str) -> bytes:
    return "".join(c for c in text if c not in "/\0").encode(errors="surrogatepass")[:200]


def hostile_folder(folder):
    titles = []
    for number, text in enumerate(TEXTS.values(), 1):
        film = imdb_folder.film_id(number)
        genres = imdb_folder.GENRE_SETS[number % len(imdb_folder.GENRE_SETS)]
        titles.append(imdb_folder.title_line(film, genres, title=one_line(text)[:900] or "x"))
        imdb_folder.write_poster(folder / "images" / f"{film}_1.jpg", number)
    titles.append(imdb_folder.title_line(imdb_folder.film_id(FILMS + 1), "Drama", title="x" * 100_000))
    imdb_folder.write_poster(folder / "images" / f"{imdb_folder.film_id(FILMS + 1)}_1.jpg", FILMS + 1)
    for number, text in enumerate(TEXTS.values()):
        with open(os.path.join(os.fsencode(folder / "images"), b"%d" % number + file_name(text) + b".jpg"), "wb") as file:
            file.write(b"no poster")
    lines = "\n".join(["\t".join(imdb_folder.HEADER), *titles, ""])
    (folder / "title.basics.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    splits = dict.fromkeys(TEXTS, "train") | dict.fromkeys(list(TEXTS)[-10:], "validation") | dict.fromkeys(SHOWN, "test")
    split_of = {imdb_folder.film_id(number): splits[name] for number, name in enumerate(TEXTS, 1)}
    (folder / "splits.json").write_text(json.dumps(split_of))
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory, clip_folder, bert_folder):
    folder = tmp_path_factory.mktemp("hostile")
    posters = hostile_folder(folder / "posters")
    images = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((posters / "images").glob("tt*.jpg"))]
    texts = dict(zip(images, [*TEXTS.values(), "ALIEN"], strict=True))  # each on the poster of the film with that title
    answers = {
        image: json.dumps({"lines": text.split("\n"), "language": text, "status": "error"}) for image, text in texts.items()
    }
    changes = {
        "data.posters_dir": posters,
        "data.split_by": "file",
        "data.split_file": posters / "splits.json",
        "encoders.image": clip_folder,
        "encoders.text": bert_folder,
        "features.level": "tokens",
        "features.image_grid": 2,
        "model.dim": 16,
        "model.heads": 2,
        "model.smsam_layers": 1,
        "model.ffn": "(8,)",
        "train.max_epochs": 1,
        "evaluate.bootstrap": 100,
        "evaluate.controls": "('text_empty',)",
        "ocr.engine": "gemini",
        "ocr.gemini.model": gemini_server.MODEL,
        "ocr.gemini.temperatures": "(0.0,)",
    }
    workdir = folder / "run"
    flags = ["-m", "posterfusion_jax.main", f"--config={watched.ROOT}/configs/paper.py", f"--workdir={workdir}"]
    flags += [f"--config.{field}={value}" for field, value in changes.items()]
    with gemini_server.serve(lambda image, before: f"say:{answers.get(image, 'ALIEN')}") as server:
        keys = {"GOOGLE_API_KEY": gemini_server.KEY, "HF_TOKEN": TOKEN}
        environment = {"GOOGLE_GEMINI_BASE_URL": server.url, **keys}
        first = watched.run(flags, folder, **environment)
        assert first.returncode == 0, first.stderr.decode(errors="replace")[-3000:]
        yield Run(folder, posters, workdir, flags, environment, first, texts)


def is_harmless(text: str) -> bool:
    return not any(unicodedata.category(c) in HIDDEN and c not in "\u200c\u200d" for c in text)


def lines_of(output: bytes) -> list[str]:
    """Strict UTF-8; a progress bar begins its line again with a carriage return."""
    return re.split(r"[\r\n]", output.decode())


def test_nothing_hostile_reaches_the_terminal(done):
    lines = lines_of(done.first.stdout) + lines_of(done.first.stderr)
    assert all(map(is_harmless, lines))
    assert max(map(len, lines)) <= 4000
    printed = done.first.stdout.decode()
    assert f"left out, file name: {FILMS}" in printed
    assert "primaryTitle has over 1,000 characters: the rest is cut off" in printed
    assert "cut after 20,000 characters or 1,000 lines" in printed
    assert not any(line.startswith(("error", "forged")) for line in lines)


class Page(html.parser.HTMLParser):
    """Tags in their order, attributes, and text; every tag must be closed by its own."""

    VOID = ("meta", "img", "br")

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.attributes, self.open, self.text = [], [], [], ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)


def test_the_page_has_the_tags_of_its_template_and_no_others(done):
    source = (done.workdir / "report" / "report.html").read_text()
    page = Page(source)
    template = (watched.ROOT / "posterfusion_jax" / "report" / "page.html.jinja").read_text()
    assert set(page.tags) <= set(re.findall(r"<([a-z][a-z0-9]*)", template))
    assert not {"script", "svg", "iframe", "object"} & set(page.tags)
    named = {"lang", "charset", "name", "content", "class", "id", "href", "scope", "tabindex", "src", "alt", "loading"}
    assert {name for name, _ in page.attributes} <= named
    for name, value in page.attributes:
        if name in ("href", "src"):
            assert value.startswith(("#", "data:image/")), value[:80]
    assert source.count("<section ") == page.tags.count("a")
    assert all(map(is_harmless, source.split("\n")))
    for name in SHOWN:
        words = sanitize(" ".join(TEXTS[name].split()))
        assert page.text.count(words[:30]) >= 2, name  # the title, and what was read
        assert page.tags.count("article") >= len(SHOWN)


def test_the_markdown_has_the_shape_of_its_blocks(done):
    for name in ("report.md", "model_card.md"):
        text = (done.workdir / "report" / name).read_text()
        assert all(map(is_harmless, text.split("\n")))
        assert "<" not in text
        assert all(re.fullmatch(r"(posters/tt\d+_1\.jpg|\w+\.png)", link) for link in re.findall(r"(?<!\\)\]\(([^)]*)\)", text))
        assert all(re.match(r"#{1,2} [A-Z][\w ,]+$", line) for line in text.split("\n") if line.startswith("#"))
        assert not re.search(r"^(> )?([-+=] |[0-9]+[.)] |---|```|\[)", text, re.MULTILINE)
        assert not re.search(r"(?<!\\)\$", text)


def test_the_charts_are_whole_and_without_programs(done):
    charts = sorted((done.workdir / "report").glob("*.svg"))
    assert "attention.svg" in [chart.name for chart in charts]
    for chart in charts:
        for element in ElementTree.fromstring(chart.read_text()).iter():
            assert element.tag.rpartition("}")[2] not in ("script", "foreignObject", "a")
            for name, value in element.attrib.items():
                assert not name.rpartition("}")[2].startswith("on")
                if name.rpartition("}")[2] == "href":
                    assert value.startswith(("#", "data:image/png"))


def test_records_and_rows_have_their_shape(done):
    records = list(load_records([done.posters / "ocr.jsonl"]))
    assert len(records) == FILMS + 1
    assert {record.engine for record in records} == {"gemini"}
    assert {record.status for record in records} <= {"ok", "empty"}
    dataset = open_dataset(done.workdir / "dataset" / "imdb_posters" / "by_file" / "1.1.0")
    texts = [text for split in dataset.splits for text in dataset.columns(split)["text"]]
    assert len(texts) == FILMS  # one title was too long
    assert max(map(len, texts)) <= MAX_CHARACTERS
    assert all(text.isprintable() for text in texts)
    assert dataset.report["text"]["at_bounds"] >= 5


def holds(data: bytes, secret: str) -> bool:
    forms = [secret, urllib.parse.quote(secret, safe=""), secret[::-1], base64.b64encode(secret.encode()).decode()]
    return any(form.encode() in data for form in forms)


def test_no_secret_is_in_anything_that_was_written(done):
    files = [path for path in done.folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".json", ".jsonl", ".npy", ".npz", ".html", ".md", ".svg", ".png"}
    found_word = False
    for path in files:
        data = path.read_bytes()
        found_word |= gemini_server.MODEL.encode() in data
        for secret in (gemini_server.KEY, TOKEN):
            assert not holds(data, secret), path
            assert secret not in path.name
    assert found_word  # what is in the config is found


def test_it_spoke_with_nobody_but_the_server_that_it_was_told_of(done):
    port = done.environment["GOOGLE_GEMINI_BASE_URL"].rpartition(":")[2]
    said = [(event, arguments) for event, arguments in done.first.events if event.startswith("socket.")]
    assert any(event == "socket.connect" for event, _ in said)
    for event, arguments in said:
        if event == "socket.bind":  # urllib3 tries, when it is imported, whether there is IPv6; it does not listen
            assert arguments == "(('::1', 0),)"
            continue
        assert event in ("socket.connect", "socket.getaddrinfo"), (event, arguments)
        assert "'127.0.0.1'" in arguments, (event, arguments)
        assert port in arguments, (event, arguments)
    assert done.first.ports == set()


def test_it_unpickled_nothing(done):
    unpickled = {arguments for event, arguments in done.first.events if event == "pickle.find_class"}
    # tensorboardX sends itself its events through a pipe.
    assert {arguments for arguments in unpickled if "/multiprocessing/" not in arguments} == set()


@pytest.fixture(scope="module")
def predicted_files(done):
    """Posters under hostile names, one of them no picture."""
    folder = os.path.join(os.fsencode(done.folder), b"files")
    os.mkdir(folder)
    poster = next((done.posters / "images").glob("tt*.jpg")).read_bytes()
    names = [b"\x1b]52;c;eA==\x07.jpg", b"a\nerror: forged.jpg", "\u202egpj.exe.jpg".encode(), b"\xff\xfe.jpg", b"<script>.jpg"]
    for name in names:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(poster + name)  # so that no two are one image
    with open(os.path.join(folder, b"\x1b[2Jbroken.jpg"), "wb") as file:
        file.write(b"no picture")
    return folder, names


def test_predictions_are_lines_of_ours(done, predicted_files):
    folder, names = predicted_files
    found = watched.run([*done.flags, "--mode=predict", folder], done.folder / "predicting", **done.environment)
    assert found.returncode == 0, found.stderr
    lines = lines_of(found.stdout)
    assert all(map(is_harmless, lines + lines_of(found.stderr)))
    assert sum(line.startswith("  genres: ") for line in lines) == len(names)
    assert sum("not predicted: not an image" in line for line in lines) == 1
    assert len([line for line in lines if line and not line.startswith("  ")]) == len(names) + 1


def test_predictions_as_json_are_one_object_a_line_and_speak_with_nobody(done, predicted_files):
    folder, names = predicted_files
    flags = [*done.flags, "--config.ocr.engine=rapidocr", "--config.ocr.workers=1", "--mode=predict", "--json", folder]
    found = watched.run(flags, done.folder / "as_json")
    assert found.returncode == 0, found.stderr
    said = [json.loads(line) for line in found.stdout.decode("ascii").splitlines()]
    assert [sorted(one) for one in said].count(["file", "genres", "probabilities", "scores", "text"]) == len(names)
    assert sorted(os.fsencode(one["file"]) for one in said) == sorted(os.path.join(folder, name) for name in os.listdir(folder))
    assert {said for event, said in found.events if event.startswith("socket.")} <= {"(('::1', 0),)"}  # urllib3, see above
    assert found.ports == set()
