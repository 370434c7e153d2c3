"""Every system of the paper's Tables I to III by name, each a small delta on the run of record.

    python -m posterfusion_jax.main --config=configs/tables.py:gmu --config.data.posters_dir=DIR
    python launch/reproduce.py --posters=DIR --root=runs/tables --seeds=0,1,2,3,4

The paper gives no sizes for the systems that it compares with; what is ours is marked. The names of the systems are those of
`data/paper_tables.json`, without duplicates: "ours" of Tables I and II is ours_l4, and clip_add is also the ablation
no_mcam_no_smsam. The dataset must have the paper's thirteen genres: `posterfusion reproduce` and `tables` refuse others.
"""

import difflib
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from posterfusion_jax.config import defaults

NETWORKS = ("MobileNetV2", "VGG19", "InceptionV3", "ResNet50V2", "DenseNet121", "EfficientNetV2B2")

# Default sources of the encoders' weights; `posterfusion reproduce` takes others with --use NAME=SOURCE.
SOURCES = {
    "clip": "openai/clip-vit-base-patch32",
    "clip_text": "openai/clip-vit-base-patch32",
    "blip": "Salesforce/blip-itm-base-coco",
    "word2vec": "word2vec:weights/GoogleNews-vectors-negative300.bin",
    **{name.lower(): f"keras:{name}" for name in NETWORKS},
}


class System(NamedTuple):
    """One row: its encoders, by their names in `SOURCES`, and what else differs from the run of record."""

    image: str
    text: str
    changes: dict[str, Any]


def _cnn(network: str, **changes: Any) -> System:
    """A CNN and Word2Vec. Tokens for the LSTM's sake; of the picture they hold the average pool twice, whose mean it is."""
    features = {"features.level": "tokens", "features.image_grid": 1, "encoders.resize": "squash"}  # resize: ours
    return System(network.lower(), "word2vec", {**features, **changes})


def _clip(**changes: Any) -> System:
    return System("clip", "clip_text", changes)


_LSTM = {"model.text_lstm": 256}  # its width: ours
_PLUS = {"model.name": "addition", **_LSTM, "model.align": 512}  # the common width: ours
_AUTHORS = {"model.dropout": 0.5, "train.monitor": "f1_macro"}  # of GMU and CentralNet

_OTHER_TEXTS = ("empty", "shuffled", "without_title")
_STOPPED_LATER: dict[str, dict[str, Any]] = {
    "text_clip": {"model.name": "text_only"},
    "image_clip": {"model.name": "image_only"},
    "clip_add": {"model.name": "addition"},
    "ours_l4": {},
}

SYSTEMS: dict[str, System] = {
    # Table I
    **{f"{name.lower()}+w2v_add": _cnn(name, **_PLUS) for name in NETWORKS},
    **{f"{name.lower()}+w2v_concat": _cnn(name, **{"model.name": "concatenation"}, **_LSTM) for name in NETWORKS},
    "blip_add": System("blip", "blip", {"model.name": "addition", "encoders.resize": "squash"}),
    "clip_add": _clip(**{"model.name": "addition"}),
    "gmu": _clip(**{"model.name": "gmu", "loss.preset": "bce"}, **_AUTHORS),  # on CLIP's features: ours
    "centralnet": _clip(**{"model.name": "centralnet"}, **_AUTHORS),  # on CLIP's features: ours
    # Table II
    "text_clip": _clip(**{"model.name": "text_only"}),
    **{f"image_{name.lower()}": _cnn(name, **{"model.name": "image_only"}) for name in NETWORKS},
    "image_blip": System("blip", "blip", {"model.name": "image_only", "encoders.resize": "squash"}),
    "image_clip": _clip(**{"model.name": "image_only"}),
    # Table III
    "ours_l4": _clip(),
    "ours_l1": _clip(**{"model.smsam_layers": 1}),
    "no_smsam": _clip(**{"model.smsam_layers": 0}),
    "no_mcam_l4": _clip(**{"model.mcam": False}),
    "no_mcam_l1": _clip(**{"model.mcam": False, "model.smsam_layers": 1}),
    # Not in the paper: what a user would try first
    "linear_probe": _clip(**{"model.name": "linear_probe", "loss.preset": "bce"}),
    "linear_probe_image": _clip(**{"model.name": "linear_probe_image", "loss.preset": "bce"}),
    "zero_shot": _clip(**{"model.name": "zero_shot", "loss.preset": "bce"}),  # the loss is only reported
    # Not in the paper either: the same model, trained and tested on texts that are not the poster's own
    **{f"ours_l4_text_{text}": _clip(**{"data.text_control": text}) for text in _OTHER_TEXTS},
    # and some systems stopped on validation macro F1, which still rises when the loss no longer falls
    **{f"{name}_f1": _clip(**{**changes, "train.monitor": "f1_macro"}) for name, changes in _STOPPED_LATER.items()},
}

# Table -> row of data/paper_tables.json -> system, in the paper's order.
TABLES: dict[str, dict[str, str]] = {
    "table_i": {
        **{f"{name.lower()}+w2v_{how}": f"{name.lower()}+w2v_{how}" for how in ("add", "concat") for name in NETWORKS},
        **{name: name for name in ("blip_add", "clip_add", "gmu", "centralnet")},
        "ours": "ours_l4",
    },
    "table_ii": {
        "text_clip": "text_clip",
        **{
            f"image_{name}": f"image_{name}"
            for name in (
                *("mobilenetv2", "resnet50v2", "vgg19", "inceptionv3", "densenet121", "efficientnetv2b2"),
                *("blip", "clip"),
            )
        },
        "ours": "ours_l4",
    },
    "table_iii": {
        **{name: name for name in ("ours_l4", "ours_l1", "no_smsam", "no_mcam_l4", "no_mcam_l1")},
        "no_mcam_no_smsam": "clip_add",
    },
    "ours_too": {name: name for name in ("linear_probe", "linear_probe_image", "zero_shot")},
    "text_controls": {f"ours_l4_text_{text}": f"ours_l4_text_{text}" for text in _OTHER_TEXTS},
    "stopped_later": {f"{name}_f1": f"{name}_f1" for name in _STOPPED_LATER},
}

# What launch/compare.py --root compares, a against b: a system of SYSTEMS, or one with changed input.
COMPARISONS: dict[str, tuple[str, str]] = {
    "ours against the picture alone": ("ours_l4", "image_clip"),
    "ours against the picture alone, stopped on macro F1": ("ours_l4_f1", "image_clip_f1"),
    "ours against addition": ("ours_l4", "clip_add"),
    "ours against a linear probe": ("ours_l4", "linear_probe"),
    "addition against the picture alone": ("clip_add", "image_clip"),
    "linear probe with text against without": ("linear_probe", "linear_probe_image"),
    "GMU against the picture alone": ("gmu", "image_clip"),
    "ours trained on own text against no text": ("ours_l4", "ours_l4_text_empty"),
    "ours trained on own text against another film's": ("ours_l4", "ours_l4_text_shuffled"),
    "ours trained on own text against text without title": ("ours_l4", "ours_l4_text_without_title"),
    "ours with text against its text taken away": ("ours_l4", "ours_l4@text_empty"),
    "ours with picture against its picture taken away": ("ours_l4", "ours_l4@image_mean"),
}


def get_config(system: str = "ours_l4") -> ConfigDict:
    """The config of one system.

    Raises:
      ValueError: no system has this name.
    """
    if system not in SYSTEMS:
        near = difflib.get_close_matches(system, SYSTEMS, n=1)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no system {system!r}; there are {', '.join(SYSTEMS)}{hint}")
    row = SYSTEMS[system]
    config = defaults.get_config()
    config.encoders.image, config.encoders.text = SOURCES[row.image], SOURCES[row.text]
    config.update_from_flattened_dict(row.changes)
    return config
