import dataclasses

import pytest

from posterfusion_jax.config import defaults
from posterfusion_jax.config.sections import EncodersConfig
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.errors import InputError


def test_defaults_are_those_of_the_config():
    config = defaults.get_config()
    options = dataclasses.asdict(EncoderOptions())
    assert options.pop("seed") == config.seed
    assert set(options) == {field.name for field in dataclasses.fields(EncodersConfig)} - {"image", "text", "scratch"}
    del options["max_text_tokens"]  # None; a placeholder of its type in the config
    assert options == {name: config.encoders[name] for name in options}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, r"encoders\.dtype: 'float16'; allowed: float32, bfloat16"),
        ({"resize": "stretch"}, r"encoders\.resize: 'stretch'; allowed: crop, squash, pad"),
        ({"allow_random": ("all",)}, r"encoders\.allow_random: 'all'; allowed: image, text"),
        ({"long_text": "cut"}, r"encoders\.long_text is 'cut'; allowed: truncate, head_tail"),
        ({"max_chunks": 0}, r"encoders\.max_chunks is 0; it must be at least 1"),
    ],
)
def test_unknown_values_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        EncoderOptions(**options)


def test_the_limit_of_a_text():
    assert EncoderOptions().limit_tokens(default=77, longest=20, name="x") == 20
    assert EncoderOptions().limit_tokens(default=77, longest=512, name="x") == 77
    assert EncoderOptions(max_text_tokens=9).limit_tokens(default=77, longest=20, name="x") == 9
    for wrong in (2, 21):
        with pytest.raises(InputError, match=rf"encoders\.max_text_tokens is {wrong}; x takes 3 to 20"):
            EncoderOptions(max_text_tokens=wrong).limit_tokens(default=77, longest=20, name="x")
