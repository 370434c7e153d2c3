"""List the networks of keras.applications that have image towers; reads nothing and needs no Keras."""

import difflib
import pathlib
from typing import NamedTuple

from posterfusion_jax.config.choices import KERAS
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.user_path import expand_path

FIELD = "encoders.image"


class Network(NamedTuple):
    """Describe a network before it is built.

    Attributes:
      size: edge of its images in pixels.
      module: of keras.applications; holds its `preprocess_input`.
      preprocessing: its mode, in the words of keras.applications.imagenet_utils: "tf" scales to [-1, 1], "torch" and
        "caffe" subtract ImageNet's channel means (with and without dividing by the deviations, RGB and BGR), "none" leaves
        it to the network's first layers.
      width: channels of its last feature map.
      grid: positions along an edge of that map.
      path: of its weights without top, below Keras' download address.
      md5: of that file; None where Keras knows none either.
    """

    size: int
    module: str
    preprocessing: str
    width: int
    grid: int
    path: str
    md5: str | None

    @property
    def url(self) -> str:
        """Return the address of its weights."""
        return _URL + self.path


# Paths and hashes as in Keras' own builders, keras/src/applications/*.py, which do not export them.
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
_KERNELS = "weights_tf_dim_ordering_tf_kernels"
NETWORKS = {
    "VGG19": Network(
        size=224,
        module="vgg19",
        preprocessing="caffe",
        width=512,
        grid=7,
        path=f"vgg19/vgg19_{_KERNELS}_notop.h5",
        md5="253f8cb515780f3b799900260a226db6",
    ),
    "ResNet50V2": Network(
        size=224,
        module="resnet_v2",
        preprocessing="tf",
        width=2048,
        grid=7,
        path=f"resnet/resnet50v2_{_KERNELS}_notop.h5",
        md5="fac2f116257151a9d068a22e544a4917",
    ),
    "DenseNet121": Network(
        size=224,
        module="densenet",
        preprocessing="torch",
        width=1024,
        grid=7,
        path=f"densenet/densenet121_{_KERNELS}_notop.h5",
        md5="30ee3e1110167f948a6b9946edeeb738",
    ),
    "MobileNetV2": Network(
        size=224,
        module="mobilenet_v2",
        preprocessing="tf",
        width=1280,
        grid=7,
        path=f"mobilenet_v2/mobilenet_v2_{_KERNELS}_1.0_224_no_top.h5",
        md5=None,
    ),
    "InceptionV3": Network(
        size=299,
        module="inception_v3",
        preprocessing="tf",
        width=2048,
        grid=8,
        path=f"inception_v3/inception_v3_{_KERNELS}_notop.h5",
        md5="bcbd6486424b2319ff4ef7d526e38f63",
    ),
    "EfficientNetV2B2": Network(
        size=260,
        module="efficientnet_v2",
        preprocessing="none",
        width=1408,
        grid=9,
        path="efficientnet_v2/efficientnetv2-b2_notop.h5",
        md5="1dfe2e7a5d45b6632553a8961ea609eb",
    ),
}


def parse_network(source: str) -> tuple[str, pathlib.Path | None]:
    """Split "keras:NAME@FILE" into the network's name and the file, None for Keras' own weights."""
    name, at, file = source.removeprefix(KERAS).partition("@")
    if name not in NETWORKS or not source.startswith(KERAS):
        lower = {known.lower(): known for known in NETWORKS}
        near = difflib.get_close_matches(name.lower(), lower, n=1)
        hint = f"; did you mean {KERAS}{lower[near[0]]}?" if near else ""
        raise InputError(
            f"{FIELD} is {source!r}; networks of keras.applications here: {', '.join(KERAS + known for known in NETWORKS)}, "
            f"each also with a local file of weights, {KERAS}NAME@FILE{hint}"
        )
    if not at:
        return name, None
    path = pathlib.Path(expand_path(file, FIELD))
    if not path.is_file():
        raise InputError(f"{FIELD} is {source!r}: there is no file {file!r}; give the .h5 file with the weights of {name}")
    return name, path
