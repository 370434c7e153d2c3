"""Split files: our own with a hash, plain JSON and CSV of others, and whatever can be wrong with them."""

import json
from typing import NamedTuple

import pytest

from posterfusion_jax.datasets.imdb_posters.split_file import Assignment, read_split_file, write_split_file
from posterfusion_jax.errors import InputError


class Ids(NamedTuple):
    poster_id: str
    film_id: str


FILMS = {"tt0000002": "test", "tt0000001": "train", "tt0000003": "validation"}


def test_written_and_read_again(tmp_path):
    assignment = Assignment(unit="film", rule="by hand", splits=FILMS, seed=5, fractions=(0.8, 0.1, 0.1))
    write_split_file(tmp_path / "splits.json", assignment)
    assert read_split_file(tmp_path / "splits.json") == assignment
    content = json.loads((tmp_path / "splits.json").read_text())
    assert content["sha256"] == assignment.sha256
    assert list(content["assignment"]) == sorted(FILMS)


def test_hash_depends_on_the_assignment_alone():
    one = Assignment(unit="film", rule="a", splits=FILMS, seed=1)
    assert one.sha256 == Assignment(unit="film", rule="b", splits=dict(reversed(FILMS.items()))).sha256
    assert one.sha256 != Assignment(unit="poster", rule="a", splits=FILMS, seed=1).sha256
    # sha256 of ["film",[["tt0000001","train"],...]] by the tool sha256sum: it must stay from release to release
    assert one.sha256 == "8161b20701f7aae1dfe24f948c67aa59fe0ac4279f19ac8e1ab52126a23cd906"


def test_a_tampered_file_is_refused(tmp_path):
    path = tmp_path / "splits.json"
    write_split_file(path, Assignment(unit="film", rule="by hand", splits=FILMS))
    path.write_text(path.read_text().replace('"tt0000002": "test"', '"tt0000002": "train"'))
    with pytest.raises(InputError, match="was changed after it was written"):
        read_split_file(path)


@pytest.mark.parametrize(
    ("name", "text", "unit"),
    [
        ("films.json", '{"tt0000001": "train", "tt0000002": "test"}', "film"),
        ("posters.json", '{"tt0000001_1": "train", "tt0000002": "test"}', "poster"),
        ("plain.csv", "tt0000001,train\ntt0000002,test\n", "film"),
        ("headed.csv", "split,note,film_id\ntrain,x,tt0000001\n\ntest,y,tt0000002\n", "film"),
        ("bare.csv", "poster_id,split\ntt0000001,train\ntt0000002,test\n", "poster"),
        ("windows.csv", "\ufefftconst, split\r\ntt0000001, train\r\ntt0000002, test\r\n", "film"),
    ],
)
def test_plain_files_of_others(tmp_path, name, text, unit):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assignment = read_split_file(tmp_path / name)
    assert assignment.unit == unit
    assert sorted(assignment.splits.values()) == ["test", "train"]
    assert name in assignment.rule


def test_which_split_a_poster_is_in():
    poster = Ids("tt0000001_2", "tt0000001")
    assert Assignment(unit="film", rule="", splits=FILMS).split_of(poster) == "train"
    by_poster = Assignment(unit="poster", rule="", splits={"tt0000001_2": "test", "tt0000001_1": "train"})
    assert by_poster.split_of(poster) == "test"
    assert by_poster.split_of(Ids("tt0000001_9", "tt0000001")) is None
    assert by_poster.limited_to([poster]).splits == {"tt0000001_2": "test"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"tt0000001": "training"}', r"names the splits \{'training': 1\}; allowed are train, validation, test"),
        ('{"tt0000001": 3}', r"names the splits \{'3': 1\}"),
        ('{"The Matrix": "train"}', "1 ids that are no film ids such as tt0133093, the first 'The Matrix'"),
        ('{"unit": "film", "assignment": {"tt0000001_1": "train"}}', "1 ids that are no film ids"),
        ('{"unit": "frame", "assignment": {"tt0000001_1": "train"}}', "'frame' as 'unit', which must be 'film' or 'poster'"),
        ('{"assignment": ["tt0000001"]}', "as 'assignment', which must be an object"),
        ('{"tt0000001": "train", "tt0000001": "test"}', "names 1 ids twice"),
        ("tt0000001,train\ntt0000001,train\n", "names 1 ids twice"),
        ("tt0000001,train\ntt0000002\n", "1 columns in line 2"),
        ("tt0000001\n", "1 columns in line 1"),
        ("name,split\nx,train\n", "exactly one of poster_id, film_id, tconst"),
        ("film_id,split\n", "assigns nothing"),
        ("", "is empty"),
        ("{}", "assigns nothing"),
        ('{"tt0000001": "train"', "is not valid JSON"),
    ],
)
def test_bad_files_are_named_with_the_fault(tmp_path, text, message):
    path = tmp_path / "given"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"data\.split_file='{path}' .*{message}"):
        read_split_file(path)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_split_file(tmp_path / "absent.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_split_file(tmp_path / "binary")


BOOKS = [Ids(f"{group}__{k}", group) for group in ("9780140449136", "Émile Zola/Germinal", "x") for k in range(2)]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("9780140449136,train\nÉmile Zola/Germinal,test\n", "film"),
        ("9780140449136__0,train\nx__1,test\n", "poster"),
        ("group,split\n9780140449136,train\nx,test\n", "film"),
        ("poster_id,split\n9780140449136,train\nx,test\n", "poster"),
        ("author,id,split\nA,9780140449136,train\nB,x,test\n", "film"),
        ('{"x__0": "train", "x__1": "test"}', "poster"),
        ("unknown,train\nneither,test\n", "poster"),
    ],
)
def test_ids_of_other_sources_are_accepted_and_their_kind_is_found(tmp_path, text, unit):
    path = tmp_path / "given"
    path.write_text(text, encoding="utf-8")
    assignment = read_split_file(path, posters=BOOKS)
    assert assignment.unit == unit
    assert sorted(assignment.splits.values()) == ["test", "train"]
    with pytest.raises(InputError, match=r"ids that are no|exactly one of poster_id, film_id, tconst and"):
        read_split_file(path)


def test_groups_of_one_poster_each_are_groups(tmp_path):
    (tmp_path / "given").write_text("a,train\nb,test\n")
    assert read_split_file(tmp_path / "given", posters=[Ids("a", "a"), Ids("b", "b")]).unit == "film"


def test_a_recorded_split_of_another_source_is_read_again(tmp_path):
    splits = {poster.film_id: "train" for poster in BOOKS} | {"x": "test"}
    assignment = Assignment(unit="film", rule="by group", splits=splits, seed=1)
    write_split_file(tmp_path / "splits.json", assignment)
    assert read_split_file(tmp_path / "splits.json", posters=BOOKS) == assignment
    assert read_split_file(tmp_path / "splits.json", posters=()) == assignment


def test_recorded_folds_are_read_again(tmp_path):
    assignment = Assignment(unit="film", rule="3 folds", splits={f"tt000000{k}": f"fold_{k}" for k in range(3)}, seed=0)
    write_split_file(tmp_path / "splits.json", assignment)
    assert read_split_file(tmp_path / "splits.json", splits=("fold_0", "fold_1", "fold_2")) == assignment
    with pytest.raises(InputError, match="allowed are train, validation, test"):
        read_split_file(tmp_path / "splits.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",train\nx,test\n", "has an empty id"),
        ("x,val\n", r"names the splits \{'val': 1\}"),
        ("isbn,split\nx,train\n", "exactly one of poster_id, film_id, tconst, poster, group_id, group, id and one split"),
        ("x,train\nx,test\n", "names 1 ids twice"),
    ],
)
def test_bad_files_of_other_sources_are_named_with_the_fault(tmp_path, text, message):
    path = tmp_path / "given"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_split_file(path, posters=BOOKS)
