"""Whatever a config holds, it is a run or is refused with the field's name; the same for overrides on the command line."""

import math
import pathlib

import fuzzing
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posterfusion_jax.config import defaults
from posterfusion_jax.config.run import flatten, from_json, load, resolve, to_json
from posterfusion_jax.errors import InputError

PAPER = "configs/paper.py"
VALID = {
    **to_json(defaults.get_config()),
    "data": {**to_json(defaults.get_config())["data"], "posters_dir": "posters"},
}
FIELDS = sorted(flatten(VALID))
VALUES = fuzzing.JSON | st.lists(fuzzing.NUMBERS | fuzzing.TEXTS, max_size=3)


def changed(changes: dict[str, object]) -> dict[str, object]:
    """`VALID` with other values for some of its fields or sections; None in the place of a name takes the field out."""
    config = {name: dict(value) if isinstance(value, dict) else value for name, value in VALID.items()}
    for field, value in changes.items():
        target = config
        *sections, name = field.split(".")
        for section in sections:
            target[section] = dict(target[section]) if isinstance(target.get(section), dict) else {}
            target = target[section]
        target[name] = value
    return config


def assert_is_run_or_refused(values: object, workdir: pathlib.Path) -> None:
    run, refusal = fuzzing.attempt(lambda: resolve(from_json(values), workdir), refusal=InputError)
    if refusal is not None:
        assert 0 < len(refusal) < 7000
        return
    flat = flatten(run.config.to_dict())
    assert sorted(flat) == FIELDS
    for field, value in flat.items():
        assert not isinstance(value, float) or math.isfinite(value), field
    to_json(run.config)


@fuzzing.FORMS
def test_configs_of_checkpoints(times, tmp_path):
    sections = [name for name, value in VALID.items() if isinstance(value, dict)]

    @fuzzing.form(times, short=150)
    @given(
        fuzzing.JSON
        | st.dictionaries(st.sampled_from([*FIELDS, *sections, "data.new", "new"]), VALUES, min_size=1, max_size=3).map(changed)
    )
    @example(changed({"data.posters_dir": "~nobody/x"}))  # pathlib's expanduser raises RuntimeError
    @example(changed({"encoders.image": "x" * 5000}))  # pathlib's exists raises OSError
    @example(changed({"data.split_fractions": ["a", "b", "c"]}))
    @example(changed({"train.weight_decay": float("nan")}))  # not below 0, so it passed
    @example(changed({"seed": None}))
    @example(changed({"seed": 2**70}))
    @example(changed({"ocr.prefer": [1]}))
    @example(changed({"data": []}))
    @example(changed({"items": 1}))
    @example(changed({"a.b": {"c.d": 1}}))
    def check(values: object) -> None:
        assert_is_run_or_refused(values, tmp_path)

    check()


@fuzzing.FORMS
def test_overrides_on_the_command_line(times, tmp_path):
    pieces = st.sampled_from(["None", "True", "nan", "inf", "1e999", "(1,)", "('a',", "[[", "-1", "()", "9" * 5000, "0", ""])

    @fuzzing.form(times, short=40)
    @given(st.sampled_from([*FIELDS, "data", "nothing", "seed.x"]), pieces | fuzzing.TEXTS)
    @example("model.ffn", "(" * 5000)
    @example("seed", "9" * 5000)
    @example("ocr.tesseract.psm", "0")  # the choices are numbers, which str.join does not take
    def check(field: str, value: str) -> None:
        overrides = ["--config.data.posters_dir=posters", f"--config.{field}={value}"]
        config, refusal = fuzzing.attempt(load, PAPER, overrides, refusal=InputError)
        if refusal is not None:
            assert field in refusal
        else:
            assert_is_run_or_refused(to_json(config), tmp_path)

    check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": None}, r"seed=None must be a whole number"),
        ({"seed": True}, r"seed=True must be a whole number"),
        ({"seed": 2**31}, r"seed=2147483648 must be a whole number below 2\*\*31"),
        ({"train.weight_decay": math.nan}, r"train\.weight_decay=nan must be a finite number"),
        ({"train.learning_rate": math.inf}, r"train\.learning_rate=inf must be a finite number"),
        (
            {"data.split_fractions": ["a", "b", "c"]},
            r"data\.split_fractions=\('a', 'b', 'c'\) must be a tuple, each item a finite",
        ),
        ({"model.ffn": [512, 0.5]}, r"model\.ffn=\(512, 0\.5\) must be a tuple, each item a whole number"),
        ({"ocr.prefer": [1]}, r"ocr\.prefer=\(1,\) must be a tuple, each item a text"),
        ({"data.posters_dir": "a\0b"}, r"data\.posters_dir='a\\x00b' must be a text without NUL"),
        ({"evaluate.force_top1": 1}, r"evaluate\.force_top1=1 must be True or False"),
        ({"train.batch_sise": 8}, r"'train\.batch_sise', which this version does not know .* Did you mean train\.batch_size"),
        ({"data": 3}, r"data=3: 'data' is a section of the config"),
        ({"ocr.tesseract.psm": 0}, r"ocr\.tesseract\.psm=0 is not one of 1, 3, 4, 6, 11, 12"),
        ({"data.text_rules": {}}, r"the config lacks the field 'data\.text_rules\."),
    ],
)
def test_what_is_of_another_kind_is_named(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        resolve(from_json(changed(changes)), tmp_path)
