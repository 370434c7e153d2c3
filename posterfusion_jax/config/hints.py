"""Hints for a field that a config does not have: what it may be called, where it is, or why there is none."""

import difflib
from collections.abc import Collection, Sequence

from posterfusion_jax.config import defaults

FIELDS_FILE = defaults.__file__
_LISTED = f"All fields are listed in {FIELDS_FILE}."
_SHOWN = 4  # suggestions at most
_FIELD_STARTS = ("data.", "ocr.", "encoders.", "features.", "model.", "loss.", "train.", "evaluate.", "seed ")

_ADAM = "the optimizer is Adam (AdamW with train.weight_decay): train.learning_rate, train.beta1, train.beta2, train.epsilon"
_DEVICE = (
    "the device is no field: JAX takes the accelerator that it finds; the environment variable JAX_PLATFORMS names another"
)
_KEY = "keys are no field: Gemini's is read from the environment variable GOOGLE_API_KEY"
_WORKDIR = "the folder of a run is no field but a flag: --workdir=FOLDER"
_SIZE = "pretrained encoders have a fixed image size; that of encoders 'scratch' is encoders.scratch.image_size"

# Other words, without "_" and "-", in lower case -> the fields or the sentence that they mean.
_MEANINGS: dict[str, str] = {
    "labels label genres genre classes class numclasses numlabels targets target y": "data.labels data.table_columns.labels",
    "optimizer optimizer optim adam adamw": _ADAM,
    "device gpu gpus cuda cpu tpu accelerator platform": _DEVICE,
    "apikey key token googleapikey": _KEY,
    "workdir output out outputdir outdir savedir savepath logdir runname checkpointdir": _WORKDIR,
    "imagesize imgsize resolution inputsize": _SIZE,
    "lr learnrate baselr eta stepsize": "train.learning_rate",
    "encoderlr backbonelr finetunelr": "train.encoder_learning_rate",
    "epochs epoch numepochs nepochs maxepoch steps maxsteps numsteps iterations": "train.max_epochs",
    "batchsize batch bs minibatch trainbatchsize": "train.batch_size features.batch_size ocr.batch.use",
    "evalbatchsize valbatchsize testbatchsize": "train.eval_batch_size",
    "dropoutrate dropoutprob drop droprate pdrop keepprob": "model.dropout",
    "weightdecay wd l2 l2reg decay regularization": "train.weight_decay",
    "threshold tau cutoff thresholds": "evaluate.threshold",
    "scheduler lrschedule lrscheduler cosine warmup": "train.schedule",
    "earlystopping earlystop": "train.patience train.monitor",
    "metric metrics criterion": "train.monitor loss.preset",
    "lossfunction lossname losstype asl bce focal": "loss.preset",
    "gamma gammas": "loss.gamma_pos loss.gamma_neg",
    "clip margins shift": "loss.margin encoders.image",
    "momentum betas beta": "train.beta1 train.beta2",
    "hiddendim hiddensize embeddim dmodel width hidden units": "model.dim model.ffn",
    "numheads nheads attentionheads nhead": "model.heads",
    "layers numlayers nlayers depth": "model.smsam_layers",
    "encoder backbone pretrained checkpoint weights": "encoders.image encoders.text",
    "architecture arch modelname modeltype head": "model.name",
    "datadir dataroot dataset posters path root": "data.posters_dir data.images data.dataset_dir",
    "imagedir images imagesdir pictures": "data.images data.posters_dir",
    "csv annotations labelfile labelsfile metadata": "data.table data.split_file",
    "labelcolumn labelscolumn genrecolumn targetcolumn targetcol labelcol": "data.table_columns.labels",
    "imagecolumn imagecol filenamecolumn filename pathcolumn pathcol": "data.table_columns.picture",
    "idcolumn idcol index indexcol": "data.table_columns.id",
    "groupcolumn groupcol groupby groups filmid movieid": "data.table_columns.group",
    "textcolumn textcol": "data.table_columns.text",
    "splitcolumn splitcol foldcolumn": "data.table_columns.split",
    "sep": "data.table_columns.delimiter data.table_columns.separator",
    "mincount minsamples minfrequency minposters minsupport": "data.label_min_posters",
    "aliases synonyms labelmap mapping rename": "data.label_aliases",
    "splitcsv splitpath splits": "data.split_file evaluate.splits",
    "kfold kfolds cv crossvalidation nsplits nfolds numfolds": "data.folds data.fold",
    "split valsplit testsplit valsize testsize valfraction ratios": "data.split_fractions data.split_by data.split_file",
    "randomstate randomseed rngseed rng": "seed data.split_seed",
    "maxlength maxlen maxseqlen sequencelength maxtokens numtokens": "encoders.max_text_tokens",
    "numworkers workers threads nproc jobs": "ocr.workers train.loader_threads",
    "precision fp16 bf16 amp mixedprecision": "encoders.dtype features.dtype",
    "freeze frozen finetune trainencoder unfreeze": "train.fine_tune train.fine_tune_towers",
    "augment augmentation flip augmentations": "train.augment_shift train.augment_drop_tokens",
    "ocrengine tesseract rapidocr": "ocr.engine",
}
_SYNONYMS = {word: meaning for words, meaning in _MEANINGS.items() for word in words.split()}


def describe_unknown(field: str, fields: Sequence[str]) -> str:
    """Return sentences on a field that no config has: what it is instead, the nearest fields, where all are listed.

    Args:
      field: as it was written, such as "train.lr".
      fields: all that exist, with their sections, such as "train.learning_rate".
    """
    field = field[:80]  # a name of any length may be in a file
    return f"{field!a} is no field of the config. {_find_hint(field, fields)} {_LISTED}"


def describe_section(section: str, fields: Sequence[str]) -> str:
    """Return sentences on a section that was given a value as if it were a field."""
    inside = [field for field in fields if field.startswith(f"{section}.")]
    more = f" and {len(inside) - _SHOWN} more" if len(inside) > _SHOWN else ""
    extra = _hint_of_synonym(section)
    return (
        f"{section!r} is a section of the config and takes no value itself. Set its fields: "
        f"{', '.join(inside[:_SHOWN])}{more}.{f' {extra}' if extra else ''} {_LISTED}"
    )


def describe_flag(flag: str, fields: Sequence[str]) -> str:
    """Return a sentence on an unknown flag that is the name of a field, or another word for one; "" for others."""
    same = [known for known in fields if flag in (known, known.rpartition(".")[2])]
    hint = _suggest(same) if same else _hint_of_synonym(flag.rpartition(".")[2])
    return f" Fields of the config are set with --config.section.field=value. {hint}" if hint else ""


def sections_of(fields: Sequence[str]) -> set[str]:
    """Return the dotted names of all sections."""
    return {field[:dot] for field in fields for dot, letter in enumerate(field) if letter == "."}


def _find_hint(field: str, fields: Sequence[str]) -> str:
    parts = field.split(".")
    for length in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:length]) in fields:
            return f"{'.'.join(parts[:length])!r} is a field itself and has none in it."
    same = [known for known in fields if known.rpartition(".")[2] == parts[-1]]
    if same:
        return _suggest(_by_likeness(field, same))
    return _hint_of_synonym(parts[-1]) or _suggest(_nearest(field, fields))


def _hint_of_synonym(name: str) -> str:
    meaning = _SYNONYMS.get(_plain(name), "")
    if meaning.startswith(_FIELD_STARTS):
        return _suggest(meaning.split())
    return meaning and f"{meaning[0].upper()}{meaning[1:]}."


def _nearest(field: str, fields: Sequence[str]) -> list[str]:
    """Return fields with a similar name, in their section or by themselves, the most similar first."""
    last = {known: _plain(known.rpartition(".")[2]) for known in fields}
    name = _plain(field.rpartition(".")[2])
    alike = set(difflib.get_close_matches(name, last.values(), n=_SHOWN, cutoff=0.6))
    found = [known for known in fields if last[known] in alike]
    found += difflib.get_close_matches(field, [known for known in fields if known not in found], n=2, cutoff=0.75)
    return _by_likeness(field, found)


def _by_likeness(field: str, found: Sequence[str]) -> list[str]:
    section = field.rpartition(".")[0]

    def likeness(known: str) -> tuple[bool, float]:
        return known.rpartition(".")[0] == section, difflib.SequenceMatcher(None, field, known).ratio()

    return sorted(found, key=likeness, reverse=True)


def _suggest(found: Sequence[str]) -> str:
    if not found:
        return "No field has a similar name."
    *others, last = found[:_SHOWN]
    return f"Did you mean {', '.join(others)}{' or ' if others else ''}{last}?"


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def find_section(names: Collection[str], fields: Sequence[str]) -> str:
    """Return the section that holds exactly these fields and sections, "" for the config itself or where none does."""
    for section in sections_of(fields):
        if {field.removeprefix(f"{section}.").partition(".")[0] for field in fields if field.startswith(f"{section}.")} == set(
            names
        ):
            return section
    return ""
