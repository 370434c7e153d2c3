"""A build holds nothing that grows with the number of posters."""

import pathlib
import tempfile
import tracemalloc

import pytest

from benchmarks.generated_posters import make_folder
from posterfusion_jax.datasets.imdb_posters.build import build_dataset

# tensorflow-datasets 4.9.10 asks protobuf 6, which Beam needs, for a deprecated attribute.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


@pytest.mark.slow
def test_ten_times_the_posters_take_no_more_memory(tmp_path):
    """What Python allocates; SQLite's part is bounded by its caches. Rows in memory would take a kilobyte each, 4 MB here; what
    still grows is garbage that waits for its collection."""

    def peak(posters: int) -> int:
        folder = pathlib.Path(tempfile.mkdtemp(dir=tmp_path))
        make_folder(folder / "posters", posters=posters, width=16)
        tracemalloc.start()
        try:
            build_dataset(folder / "posters", folder / "data", progress=False)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(400)  # imports and caches
    assert peak(4000) < peak(400) + 2_000_000
