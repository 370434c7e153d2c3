"""Progress bars: lively on a terminal, one line every half minute in a log file."""

import sys
from typing import Any

from tqdm import tqdm

from posterfusion_jax.terminal import plain


def progress_bar(*, desc: str, **options: Any) -> tqdm:
    """A tqdm bar with rate and time left, on stderr; the options are tqdm's."""
    live = sys.stderr.isatty()
    desc = plain(desc)  # it may name a file
    return tqdm(desc=desc, mininterval=0.5 if live else 30.0, ascii=None if live else True, dynamic_ncols=live, **options)
