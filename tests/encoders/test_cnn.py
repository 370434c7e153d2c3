import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.error
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from posterfusion_jax.encoders import cnn
from posterfusion_jax.encoders.cnn import load_cnn
from posterfusion_jax.encoders.grid import pool_grid
from posterfusion_jax.encoders.hf_compat import default_promotion
from posterfusion_jax.encoders.keras_networks import NETWORKS
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.encoders.weights import hash_params
from posterfusion_jax.errors import InputError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("keras") is None, reason="the networks of keras.applications need the extra `cnn`"
)

WIDTHS = {  # as the paper's networks have them, and the edge of the last feature map at their native size
    "VGG19": (512, 7),
    "ResNet50V2": (2048, 7),
    "DenseNet121": (1024, 7),
    "MobileNetV2": (1280, 7),
    "InceptionV3": (2048, 8),
    "EfficientNetV2B2": (1408, 9),
}
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
IMAGES[1] //= 4  # another image, not only other noise


def load_random(name="MobileNetV2", **options):
    return load_cnn(f"keras:{name}", EncoderOptions(resize="squash", allow_random=("image",), **options))


def load_file(file, name="MobileNetV2"):
    return load_cnn(f"keras:{name}@{file}", EncoderOptions(resize="squash"))


def run(tower, level="pooled", images=IMAGES):
    return jax.tree.map(np.asarray, jax.jit(tower.forward, static_argnames="level")(tower.params, images, level=level))


def lively(path, shape, random):
    """Weights under which a wrong layer, or a swapped statistic, would be noticed."""
    match path.rsplit("/")[-1]:
        case "kernel":
            return random.normal(0, (2 / np.prod(shape[:2] if shape[-1] == 1 else shape[:-1])) ** 0.5, shape)
        case "gamma" | "moving_variance":
            return random.uniform(0.5, 1.5, shape)
        case _:
            return random.normal(0, 0.2, shape)


@pytest.fixture(scope="module")
def keras():
    return cnn._import_keras()


@pytest.fixture(scope="module")
def h5py(keras):
    """Comes with Keras."""
    return importlib.import_module("h5py")


@pytest.fixture(scope="module")
def reference(keras):
    """Keras' own MobileNetV2, with its last feature map and the average of that."""
    base = cnn._build(keras, "MobileNetV2", "float32")
    random = np.random.default_rng(1)
    with default_promotion():
        model = keras.Model(base.input, [base.output, keras.layers.GlobalAveragePooling2D()(base.output)])
        for variable in model.weights:
            variable.assign(lively(variable.path, variable.shape, random).astype(np.float32))
    return model


@pytest.fixture(scope="module")
def file(reference, h5py, tmp_path_factory):
    """Its weights, as keras.applications publishes them."""
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    path = tmp_path_factory.mktemp("keras") / "no_top.h5"
    with h5py.File(path, "w") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras' writer meets NumPy 2
        save_weights_to_hdf5_group(opened, reference)
    return path


@pytest.fixture(scope="module")
def tower(file):
    return load_file(file)


def add_layer(file, name, *shapes):
    import h5py

    with h5py.File(file, "r+") as opened:
        opened.attrs["layer_names"] = [*np.asarray(opened.attrs["layer_names"]), name]
        group = opened.create_group(name)
        group.attrs["weight_names"] = [f"{name}/{i}" for i in range(len(shapes))]
        for i, shape in enumerate(shapes):
            opened[f"{name}/{name}/{i}"] = np.zeros(shape, np.float32)


def test_features_equal_kerass_own(keras, tower, reference):
    with default_promotion():
        # Under jit, because these weights blow the rounding of NumPy's division (1e-7) up to 1e-3.
        pixels = jax.jit(keras.applications.mobilenet_v2.preprocess_input)(IMAGES.astype(np.float32))
        maps, expected = reference.predict_on_batch(pixels)
    pooled, tokens = run(tower), run(tower, "tokens")
    assert np.ptp(expected, axis=0).max() > 0.1  # else the comparison would say little
    np.testing.assert_allclose(pooled.values, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(tokens.values[:, 1:].reshape(maps.shape), maps, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(tokens.values[:, 0], pooled.values, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(tokens.values[:, 1:].mean(axis=1), pooled.values, rtol=1e-5, atol=1e-5)
    assert (pooled.mask.shape, tokens.mask.shape) == ((2,), (2, 50))
    assert pooled.mask.all()
    assert tokens.mask.all()


def test_tokens_go_through_the_grid(tower):
    values = pool_grid(jnp.asarray(run(tower, "tokens").values), to=1)
    np.testing.assert_allclose(values[:, 1], values[:, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        *("VGG19", "MobileNetV2", "InceptionV3", "EfficientNetV2B2"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("ResNet50V2", "DenseNet121")),  # nothing peculiar, seconds
    ],
)
def test_each_network(keras, name):
    network, (width, edge) = NETWORKS[name], WIDTHS[name]
    tower = load_random(name)
    images = jax.ShapeDtypeStruct((2, network.size, network.size, 3), jnp.uint8)
    features = jax.eval_shape(lambda *args: tower.forward(*args, level="tokens"), tower.params, images)
    assert (features.values.shape, features.values.dtype) == ((2, 1 + edge * edge, width), jnp.float32)
    assert (tower.width, tower.image_size, tower.passport["image_size"]) == (width, network.size, network.size)
    assert (network.width, network.grid) == (width, edge)
    assert {leaf.dtype for leaf in jax.tree.leaves(tower.params)} == {jnp.dtype("float32")}
    assert json.loads(json.dumps(tower.passport)) == tower.passport
    if name == "InceptionV3":  # the one whose layers Keras numbers, on and on
        assert sorted(tower.params) == sorted(f"{kind}_{i}" for i in range(94) for kind in ("conv2d", "batch_normalization"))

    pixels = IMAGES[:1, :4, :4].astype(np.float32)
    own = getattr(keras.applications, network.module).preprocess_input
    expected = pixels
    if network.preprocessing != "none":
        expected = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode=network.preprocessing)
    with default_promotion():
        np.testing.assert_allclose(jax.jit(own)(pixels), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_addresses_are_kerass_own(keras, name, monkeypatch):
    class AskedError(Exception):
        pass

    def get_file(file, url, *, cache_subdir, file_hash=None):
        raise AskedError(file, url, cache_subdir, file_hash)

    builder = getattr(keras.applications, name)
    monkeypatch.setattr(keras.applications, name, lambda **options: builder(**options | {"weights": "imagenet"}))
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(AskedError) as asked:
        cnn._build(keras, name, "float32")
    network = NETWORKS[name]
    assert asked.value.args == (network.url.rsplit("/", 1)[-1], network.url, "models", network.md5)


def test_statistics_are_not_trained(tower):
    last = {layer: arrays for layer, arrays in tower.params.items() if layer.startswith(("block_16_", "Conv_1"))}
    weights = jnp.asarray(np.random.default_rng(2).normal(size=(2, 1280)), jnp.float32)

    def loss(some, params):
        return (tower.forward(params | some, IMAGES, level="pooled").values * weights).sum()

    grads = jax.jit(jax.grad(loss))(last, tower.params)
    assert len(grads) == 8
    for layer, arrays in grads.items():
        for name, grad in arrays.items():
            assert np.isfinite(grad).all()
            assert (np.abs(grad).max() > 0) == (not name.startswith("moving_")), f"{layer}/{name}"


def test_bfloat16(tower, file):
    half = load_cnn(f"keras:MobileNetV2@{file}", EncoderOptions(resize="squash", dtype="bfloat16"))
    values, full = run(half).values, run(tower).values
    assert values.dtype == np.float32
    cosines = (values * full).sum(1) / np.linalg.norm(values, axis=1) / np.linalg.norm(full, axis=1)
    assert 0.99 < cosines.min() < 1
    assert (half.passport["dtype"], half.passport["weights_sha256"]) == ("bfloat16", tower.passport["weights_sha256"])


def test_settings_of_keras_neither_matter_nor_change(keras):
    config, width = keras.config, WIDTHS["MobileNetV2"][0]
    before = config.floatx(), config.image_data_format(), config.dtype_policy().name
    try:
        config.set_floatx("float16")
        config.set_image_data_format("channels_first")
        config.set_dtype_policy("mixed_float16")
        tower = load_random()
        text = str(jax.make_jaxpr(lambda *args: tower.forward(*args, level="pooled"))(tower.params, IMAGES))
        assert "f16" not in text
        assert f"f32[2,{width}]" in text
        assert (config.floatx(), config.image_data_format(), config.dtype_policy().name) == (
            *("float16", "channels_first", "mixed_float16"),
        )
    finally:
        config.set_floatx(before[0])
        config.set_image_data_format(before[1])
        config.set_dtype_policy(before[2])


def test_random_weights_are_said_and_repeatable(caplog):
    tower = load_random(seed=3)
    assert "keras:MobileNetV2 STARTS FROM RANDOM NUMBERS (encoders.allow_random, seed 3)" in caplog.text
    assert tower.passport["random"] is True
    assert hash_params(load_random(seed=3).params) == tower.passport["weights_sha256"]
    assert hash_params(load_random(seed=4).params) != tower.passport["weights_sha256"]
    features = run(tower).values
    assert np.isfinite(features).all()
    assert features.std() > 0.01
    assert np.abs(features[0] - features[1]).max() > 0.01


def test_file_with_top_and_file_of_a_whole_model(h5py, tower, file, tmp_path):
    with_top = shutil.copy(file, tmp_path / "top.h5")
    add_layer(with_top, "Logits", (1280, 1000), (1000,))
    again = load_file(with_top)
    assert again.passport["weights_sha256"] == tower.passport["weights_sha256"]
    assert again.name == again.passport["source"] == "keras:MobileNetV2@top.h5"
    assert again.passport["random"] is False
    with h5py.File(with_top) as old, h5py.File(tmp_path / "model.h5", "w") as new:
        old.copy(old, new, "model_weights")
    assert load_file(tmp_path / "model.h5").passport["weights_sha256"] == tower.passport["weights_sha256"]


def test_files_that_do_not_belong(h5py, file, tmp_path):
    with pytest.raises(InputError, match=r"has 104 layers with weights, DenseNet121 needs 241; the file belongs to another"):
        load_file(file, "DenseNet121")
    narrow = shutil.copy(file, tmp_path / "narrow.h5")
    with h5py.File(narrow, "r+") as opened:
        (name,) = opened["Conv1"].attrs["weight_names"]
        del opened["Conv1"][name]
        opened["Conv1"][name] = np.zeros((3, 3, 3, 16))
    with pytest.raises(
        InputError, match=r"layer Conv1 has .* \[\(3, 3, 3, 16\)\], where .* \[\(3, 3, 3, 32\)\] for Conv1; the"
    ):
        load_file(narrow)
    more = shutil.copy(file, tmp_path / "more.h5")
    add_layer(more, "block_17", (1, 1, 1280, 8))
    with pytest.raises(InputError, match="has more than the 104 layers of MobileNetV2 and its top"):
        load_file(more)
    (tmp_path / "junk.h5").write_bytes(b"<html>not found</html>")
    half = tmp_path / "half.h5"
    half.write_bytes(file.read_bytes()[:-5000])
    with h5py.File(tmp_path / "other.h5", "w") as opened:
        opened["x"] = np.zeros(3)
    for broken in ("junk.h5", "half.h5", "other.h5"):
        with pytest.raises(InputError, match=rf"{broken} cannot be read as a \.h5 file of weights .*; fetch it again"):
            load_file(tmp_path / broken)


def test_names_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"encoders\.image is 'keras:mobilenet_v2'; .*; did you mean keras:MobileNetV2\?"):
        load_cnn("keras:mobilenet_v2", EncoderOptions())
    with pytest.raises(InputError, match=r"keras:VGG19, .* keras:NAME@FILE$"):
        load_cnn("keras:zzz", EncoderOptions())
    with pytest.raises(InputError, match=r"encoders\.image is 'VGG19'; .* did you mean keras:VGG19\?"):
        load_cnn("VGG19", EncoderOptions())
    for missing in (tmp_path / "none.h5", tmp_path, ""):
        with pytest.raises(InputError, match=r"there is no file '.*'; give the \.h5 file with the weights of VGG19"):
            load_file(missing, "VGG19")


def test_weights_from_kerass_address_and_cache(tower, file, tmp_path, monkeypatch, capsys):
    asked = []

    def urlretrieve(url, target, *_):
        asked.append(url)
        if not answers:
            raise urllib.error.URLError("no route to host")
        pathlib.Path(target).write_bytes(answers.pop())

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", urlretrieve)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))

    answers = []
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    with pytest.raises(InputError) as error:
        load_cnn("keras:MobileNetV2", EncoderOptions())
    assert "encoders.image is 'keras:MobileNetV2': the weights are not in Keras' cache and cannot be down" in str(error.value)
    assert "no route to host" in str(error.value)
    assert f"Fetch {asked[0]} where" in str(error.value)
    assert asked[0].startswith("https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/")
    assert f"--config.encoders.image=keras:MobileNetV2@FOLDER/{name}" in str(error.value)
    assert load_random().passport["random"] is True
    assert len(asked) == 1

    answers = [file.read_bytes()]
    for _ in range(2):
        found = load_cnn("keras:MobileNetV2", EncoderOptions())
        assert found.passport["weights_sha256"] == tower.passport["weights_sha256"]
        assert (found.name, found.passport["random"]) == ("keras:MobileNetV2", False)
    assert len(asked) == 2
    assert [path.name for path in (tmp_path / "models").iterdir()] == [name]

    answers = [b"half a file"]
    with pytest.raises(InputError, match=r"'keras:VGG19': .* cannot be downloaded \(.*hash does not match"):
        load_cnn("keras:VGG19", EncoderOptions())
    assert capsys.readouterr().out == ""


def test_keras_absent_or_elsewhere(keras, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(InputError, match=r"imported Keras on 'torch' before; set the environment variable KERAS_BACKEND=jax"):
        load_random()
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(InputError, match=r"pip install 'posterfusion-jax\[cnn\]'"):
        load_random()


def test_keras_runs_on_jax_and_tensorflow_is_not_imported_even_where_it_is_installed(tmp_path):
    for name in ("torch", "tensorflow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported')")
    program = f"import sys; sys.path.append({str(tmp_path)!r}); from posterfusion_jax.encoders.cnn import load_cnn"
    program += "; from posterfusion_jax.encoders.options import EncoderOptions; print('keras' in sys.modules)"
    program += "; load_cnn('keras:VGG19', EncoderOptions(allow_random=('image',)))"
    program += "; print(sys.modules['keras'].backend.backend(), [m for m in ('torch', 'tensorflow') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split("\n")[:2]) == (0, ["False", "jax []"]), done.stderr


@pytest.mark.real
def test_published_mobilenet_sees_covers_in_posters(h5py, weights_dir, shared_dir):
    (file,) = (weights_dir / "mobilenetv2").glob("*_224.h5")  # with top
    tower = load_file(file)
    posters = sorted((shared_dir / "posters" / "images").glob("*.jpg"))[:12]
    pixels = [resize_poster(Image.open(path).convert("RGB"), size=tower.image_size, how=tower.resize) for path in posters]
    features = run(tower, images=np.stack(pixels)).values
    assert np.isfinite(features).all()
    assert features.std(axis=0).mean() > 0.1
    with h5py.File(file) as opened:
        kernel, bias = (opened[f"Logits/Logits/{name}:0"][()] for name in ("kernel", "bias"))
    classes = (features @ kernel + bias).argmax(axis=1)
    assert np.isin(classes, (917, 921)).mean() > 0.5, classes  # "comic book" and "book jacket" of ImageNet's thousand
