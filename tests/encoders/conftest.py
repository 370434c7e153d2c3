import pytest
from tiny_checkpoints import write_bert, write_clip


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory):
    return write_bert(tmp_path_factory.mktemp("bert"))
