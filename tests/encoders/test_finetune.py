import jax
import pytest
from load_checkpoint import load_pair, load_text

from posterfusion_jax.encoders.finetune import trainable
from posterfusion_jax.errors import InputError


@pytest.fixture(scope="module")
def params(clip_folder, bert_folder):
    image, text = load_pair(clip_folder)
    return {"image": image.params, "text": text.params, "bert": load_text(bert_folder).params}


def trained(params, **options):
    marks = trainable(params, **options)
    assert jax.tree.structure(marks) == jax.tree.structure(params)
    leaves = jax.tree_util.tree_leaves_with_path(marks)
    assert all(isinstance(leaf, bool) for _, leaf in leaves)
    return {jax.tree_util.keystr(path, simple=True, separator="/") for path, leaf in leaves if leaf}


@pytest.mark.parametrize("tower", ["image", "text", "bert"])
def test_none_and_all(params, tower):
    assert trained(params[tower], which="none") == set()
    assert len(trained(params[tower], which="all")) == len(jax.tree.leaves(params[tower]))


@pytest.mark.parametrize(
    ("tower", "layers", "final"),
    [
        ("image", "vision_model/encoder/layers/", {"vision_model/post_layernorm", "visual_projection"}),
        ("text", "text_model/encoder/layers/", {"text_model/final_layer_norm", "text_projection"}),
        ("bert", "encoder/layer/", set()),
    ],
)
def test_last_layer_and_what_follows_it(params, tower, layers, final):
    names = trained(params[tower], which="last_n", last_n=1)
    last = "2" if tower == "bert" else "1"
    assert {name.removeprefix(layers).split("/")[0] for name in names if name.startswith(layers)} == {last}
    assert {name.rsplit("/", 1)[0] for name in names if not name.startswith(layers)} == final


@pytest.mark.parametrize("tower", ["image", "text", "bert"])
def test_embeddings_never(params, tower):
    number = 3 if tower == "bert" else 2
    left_out = trained(params[tower], which="all") - trained(params[tower], which="last_n", last_n=number)
    assert left_out
    assert all("embeddings/" in name or "pre_layrnorm/" in name for name in left_out)


def test_bad_choices(params):
    with pytest.raises(InputError, match=r"train\.fine_tune is 'some'; allowed: none, all, last_n"):
        trainable(params["image"], which="some")
    for number in (0, 3):
        with pytest.raises(InputError, match=rf"train\.fine_tune_layers is {number}; this tower has 2 layers"):
            trainable(params["image"], which="last_n", last_n=number)


def test_measured_statistics_do_not_train_and_a_network_without_layers_has_no_last_ones():
    params = {"Conv1": {"kernel": 0}, "bn_Conv1": {"gamma": 0, "beta": 0, "moving_mean": 0, "moving_variance": 0}}
    assert trained(params, which="all") == {"Conv1/kernel", "bn_Conv1/gamma", "bn_Conv1/beta"}
    with pytest.raises(InputError, match=r"last_n.*Allowed for it: none, all"):
        trainable(params, which="last_n", last_n=1)
