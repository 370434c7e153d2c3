"""Names of folders that libraries may take for patterns, templates, URLs or flags: one table for all tests."""

import os
import unicodedata

_SIGNS = "[]*?{}#%$~:@&;'\"\\+=,! |<>()^`"

NAMES = [
    "posters [2024]",
    *(f"a{sign}b" for sign in _SIGNS),
    "[a-z]",
    "*",
    "a%2Fb",
    "a::b",
    "shards@8",
    "{SPLIT}.{SHARD_X_OF_Y}",
    "gs:b",
    "$HOME",
    "~root",
    "-dash",
    " both  ends ",
    "...",
    "caf\u00e9",
    unicodedata.normalize("NFD", "caf\u00e9"),
    "\U0001f3ac",
    "a\nb",
    "a\tb",
    os.fsdecode(b"a\xffb"),
    "n" * 255,
    "\u00fc" * 127,
    "a.partial",
    "a.orbax-checkpoint-tmp",
    "a.array_record-00000-of-00001",
]

# Almost all of it at once: 60 characters, some of several bytes.
COMBINED = "-[a]*?{b}#%2F$HOME~:@8&;'\"\\+=,  e\u0301\u00fc\U0001f3ac" + os.fsdecode(b"\xff") + "\n "
