"""Options of the encoders, as the config's section `encoders` has them."""

import dataclasses

from posterfusion_jax.encoders.hf_compat import DTYPES
from posterfusion_jax.encoders.long_text import POLICIES
from posterfusion_jax.encoders.preprocess import RESIZE
from posterfusion_jax.errors import InputError

TOWERS = ("image", "text")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """Hold how encoders are loaded; each field is the field of that name in the config's section `encoders`.

    Raises InputError, with the config's field, the value and what is allowed, for an unknown value.

    Attributes:
      dtype: of the arithmetic, "float32" or "bfloat16". Weights and features are float32.
      resize: how posters become square, "crop", "squash" or "pad" (see `preprocess.resize_poster`).
      long_text: how texts over the limit are encoded, one of `long_text.POLICIES`.
      max_chunks: of a text, at least 1; only for the policies that make chunks.
      max_text_tokens: limit of a text, special tokens included; None for the encoder's own.
      allow_random: of "image" and "text": towers that may start from random weights where the checkpoint lacks them, which is
        noted in a warning and in the passport.
      seed: of random weights; the config's `seed`.

    Example::

        pf.load_towers("my_clip", "my_clip", pf.EncoderOptions(dtype="bfloat16", resize="pad"))
    """

    dtype: str = "float32"
    resize: str = "crop"
    long_text: str = "truncate"
    max_chunks: int = 4
    max_text_tokens: int | None = None
    allow_random: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self):
        """Check the values. Raises InputError for an unknown one."""
        for field, values, allowed in (
            ("encoders.allow_random", self.allow_random, TOWERS),
            ("encoders.dtype", (self.dtype,), tuple(DTYPES)),
            ("encoders.resize", (self.resize,), RESIZE),
        ):
            for value in values:
                if value not in allowed:
                    raise InputError(f"{field}: {value!r}; allowed: {', '.join(allowed)}")
        if self.long_text not in POLICIES:
            raise InputError(f"encoders.long_text is {self.long_text!r}; allowed: {', '.join(POLICIES)}")
        if self.max_chunks < 1:
            raise InputError(f"encoders.max_chunks is {self.max_chunks}; it must be at least 1")

    def limit_tokens(self, *, default: int, longest: int, name: str) -> int:
        """Return the number of tokens of a text, special tokens included.

        Args:
          default: the number where `max_text_tokens` is None, if the encoder takes as many.
          longest: the number of positions that the encoder has.
          name: of the encoder, for messages.

        Raises:
          InputError: `max_text_tokens` is below 3 or above `longest`.
        """
        length = min(default, longest) if self.max_text_tokens is None else self.max_text_tokens
        if not 3 <= length <= longest:
            raise InputError(f"encoders.max_text_tokens is {length}; {name} takes 3 to {longest}")
        return length
