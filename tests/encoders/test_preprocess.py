import jax
import numpy as np
import pytest
from PIL import Image

import posterfusion_jax.encoders.hf_compat  # noqa: F401 - first, because the package keeps torch out of transformers
from posterfusion_jax.encoders.preprocess import CLIP_MEAN, CLIP_STD, normalize, resize_poster
from posterfusion_jax.errors import InputError

# isort: split
from transformers import CLIPImageProcessor


def drawing(width, height):
    """Smooth colours with edges and noise: everything that a wrong filter or offset would show in."""
    random = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([255 * x / width, 255 * y / height, 127 + 120 * np.sin(x / 7 + y / 5)], -1)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = 0
    return Image.fromarray((pixels + random.normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("width", "height"),
    [(300, 444), (300, 451), (1000, 1500), (451, 300), (224, 224), (500, 500), (90, 131), (225, 2000), (40, 30)],
)
@pytest.mark.parametrize("size", [64, 224])
def test_crop_equals_clip_image_processor(width, height, size):
    image = drawing(width, height)
    reference = CLIPImageProcessor(size={"shortest_edge": size}, crop_size=size, do_rescale=False, do_normalize=False)
    expected = reference(image, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    found = resize_poster(image, size=size, how="crop")
    assert found.shape == (size, size, 3)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_normalise_equals_clip_image_processor():
    image = drawing(224, 224)
    expected = CLIPImageProcessor()(image, return_tensors="np")["pixel_values"]
    found = jax.jit(lambda images: normalize(images, mean=CLIP_MEAN, std=CLIP_STD))(np.asarray(image)[None])
    np.testing.assert_allclose(np.asarray(found).transpose(0, 3, 1, 2), expected, atol=1e-5)


def test_squash_keeps_every_edge_and_pad_the_proportions():
    image = Image.new("RGB", (100, 200), "white")
    image.paste("red", (0, 0, 100, 20))  # the title strip that a crop loses
    image.paste("blue", (0, 180, 100, 200))
    crop, squash, pad = (resize_poster(image, size=40, how=how) for how in ("crop", "squash", "pad"))
    assert (crop == 255).all()
    assert squash[0, 20].tolist() == [255, 0, 0]
    assert squash[-1, 20].tolist() == [0, 0, 255]
    assert pad[0, 20].tolist() == [255, 0, 0]
    assert pad[-1, 20].tolist() == [0, 0, 255]
    bar = normalize(pad[None], mean=CLIP_MEAN, std=CLIP_STD)[0, :, :10]
    assert float(np.abs(bar).max()) < 0.01  # the bars say nothing after normalising
    assert pad[20, 10:30].min() == 255  # 40 x 20 pixels of poster in the middle


def test_one_pixel_and_extreme_shapes():
    for size in ((1, 1), (1, 60_000), (60_000, 1)):
        for how in ("crop", "squash", "pad"):
            assert resize_poster(Image.new("RGB", size, "red"), size=32, how=how).shape == (32, 32, 3)


def test_unknown_way():
    with pytest.raises(InputError, match=r"encoders\.resize is 'stretch'; allowed: crop, squash, pad"):
        resize_poster(Image.new("RGB", (4, 4)), size=2, how="stretch")
