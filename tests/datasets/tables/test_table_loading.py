"""Rows joined with their pictures: groups, second rows, what is left out, and memory."""

import os
import resource
import shutil
import subprocess
import sys

import pytest
from tables import draw_pictures, write_csv

from posterfusion_jax.datasets.sources.table import TableSource

IDS = [f"tt{k:07d}" for k in range(1, 13)]


def read(table, images):
    source = TableSource(table, images)
    pictures = source.list_pictures()
    entries = source.read_entries(pictures.posters)
    left_out = {kind: [tuple(item) for item in items] for kind, items in pictures.left_out.items()}
    return list(pictures.posters), entries, left_out


def test_the_first_row_of_a_picture_counts(tmp_path):
    draw_pictures(tmp_path / "images", IDS)
    rows = [[name, "Drama|War"] for name in reversed(IDS)]
    rows[6:6] = [[IDS[-1], "War|Drama"], [IDS[-2], "Comedy"], [IDS[-1], "Drama"]]
    posters, entries, left_out = read(write_csv(tmp_path / "t.csv", ["id", "genre"], rows), tmp_path / "images")
    assert [poster.poster_id for poster in posters] == IDS
    assert {entries.by_key[poster.poster_id].labels for poster in posters} == {("Drama", "War")}
    assert left_out == {
        "second row of a picture": [("t.csv:8", "tt0000012 has a row already, t.csv:2; the first one counts")],
        "second row of a picture, with other labels": [
            ("t.csv:9", "tt0000011 has a row already, t.csv:3; the first one counts"),
            ("t.csv:10", "tt0000012 has a row already, t.csv:2; the first one counts"),
        ],
    }


def test_paths_are_no_groups_and_the_place_of_the_folder_changes_nothing(tmp_path):
    """Without a title or an id, equal pictures stay in one split."""
    images = tmp_path / "first" / "images"
    draw_pictures(images, IDS)
    shutil.copy(images / f"{IDS[0]}.jpg", images / f"{IDS[1]}.jpg")
    write_csv(tmp_path / "first" / "t.csv", ["image", "genre"], [[str(images / f"{name}.jpg"), "Drama"] for name in IDS])
    posters, entries, _ = read(tmp_path / "first" / "t.csv", images)
    assert all(poster.film_id.startswith("sha256:") for poster in posters)
    assert posters[0].film_id == posters[1].film_id
    assert len({poster.film_id for poster in posters}) == 11
    assert "11 groups, 1 of them with several posters" in entries.how
    os.rename(tmp_path / "first", tmp_path / "second")
    moved, again, _ = read(tmp_path / "second" / "t.csv", tmp_path / "second" / "images")
    assert [poster[:2] for poster in moved] == [poster[:2] for poster in posters]
    assert [again.by_key[poster.poster_id] for poster in moved] == [entries.by_key[poster.poster_id] for poster in posters]


def test_the_hash_of_a_folder_is_that_of_its_tables(tmp_path):
    draw_pictures(tmp_path / "a" / "train", IDS)
    write_csv(tmp_path / "a" / "train" / "metadata.csv", ["id", "genre"], [[name, "Drama"] for name in IDS])
    first = TableSource(tmp_path / "a", tmp_path / "a").hash_labels()
    os.rename(tmp_path / "a", tmp_path / "b")
    draw_pictures(tmp_path / "b" / "train", ["tt9999999"])
    assert TableSource(tmp_path / "b", tmp_path / "b").hash_labels() == first
    write_csv(tmp_path / "b" / "train" / "metadata.csv", ["id", "genre"], [[name, "War"] for name in IDS])
    assert TableSource(tmp_path / "b", tmp_path / "b").hash_labels() != first


def test_a_picture_of_the_same_name_in_another_folder_is_left_out_with_the_reason(tmp_path):
    draw_pictures(tmp_path / "images", [*IDS, f"other/{IDS[0]}", "other/unknown"])
    table = write_csv(tmp_path / "t.csv", ["id", "genre"], [[name, "Drama"] for name in IDS])
    posters, _, left_out = read(table, tmp_path / "images")
    assert [poster.poster_id for poster in posters] == IDS
    assert left_out == {
        "picture without a row": [
            (f"other/{IDS[0]}", "a picture of the same name in another folder is that of the row"),
            ("other/unknown", "no row of t.csv names it"),
        ]
    }


def test_poster_ids_differ_where_names_become_equal(tmp_path):
    names = ["a/b", "a__b", "a?b", "a:b", "z/a", "c"]
    draw_pictures(tmp_path / "images", names)
    table = write_csv(tmp_path / "t.csv", ["file", "genre"], [[f"{name}.jpg", f"L{k}"] for k, name in enumerate(names)])
    posters, entries, left_out = read(table, tmp_path / "images")
    ids = [poster.poster_id for poster in posters]
    assert ids == sorted(set(ids))
    assert not left_out
    by_file = {os.path.relpath(poster.file, tmp_path / "images"): entries.by_key[poster.poster_id].labels for poster in posters}
    assert by_file == {f"{name}.jpg": (f"L{k}",) for k, name in enumerate(names)}


def test_bad_rows_of_a_table_of_labels_are_counted(tmp_path):
    draw_pictures(tmp_path / "images", IDS)
    (tmp_path / "genres.csv").write_text("id,genre\n" + "".join(f"{name},Drama\n" for name in IDS) + "tt0000001,War,x,y\n")
    table = write_csv(tmp_path / "movies.csv", ["id", "name"], [[name, f"Film {k}"] for k, name in enumerate(IDS)])
    _, entries, _ = read(table, tmp_path / "images")
    assert [tuple(item) for item in entries.left_out["row of the labels' table"]] == [
        ("genres.csv:14", "4 cells, and 2 columns")
    ]


_LARGE = """
import resource, sys
from posterfusion_jax.datasets.sources.table import TableSource
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = TableSource(*sys.argv[1:])
pictures = source.list_pictures()
entries = source.read_entries(pictures.posters)
print(len(pictures.posters), len(pictures.left_out["no picture"]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("labels", ["few", "one of its own per row"])
def test_memory_does_not_grow_with_the_table(tmp_path, labels):
    """60,000 rows of 1 kB, 60 MB: the reader takes less than half of that."""
    draw_pictures(tmp_path / "images", IDS)
    with (tmp_path / "t.csv").open("w") as file:
        file.write("id,plot,genre\n")
        for k in range(60_000):
            file.write(f"tt{k:07d},{'word ' * 200},{'Drama|War' if labels == 'few' else f'L{k}|M{k}'}\n")
    command = [sys.executable, "-c", _LARGE, tmp_path / "t.csv", tmp_path / "images"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    posters, missing, kilobytes = map(int, done.stdout.split())
    assert (posters, missing) == (12, 59_988)
    assert kilobytes * (1 if sys.platform == "darwin" else 1024) < 30e6, resource.getrusage(resource.RUSAGE_CHILDREN)
