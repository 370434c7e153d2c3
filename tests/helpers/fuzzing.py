"""Fuzzing with hypothesis: a short form that is the same every time, and a long one that is another every time."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FORMS = pytest.mark.parametrize("times", [pytest.param(1, id="short"), pytest.param(50, id="long", marks=pytest.mark.slow)])


def form(times: int, *, short: int = 200) -> Callable[[Any], Any]:
    """Settings for `short` examples, the same ones in every run, or for so many times as many, others in every run."""
    return settings(
        max_examples=short * times,
        derandomize=times == 1,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )


def attempt(read: Callable[..., Any], *arguments: Any, refusal: type[Exception]) -> tuple[Any, str | None]:
    """What `read` returns, or the message of its `refusal`. Any other exception is what is looked for."""
    try:
        return read(*arguments), None
    except refusal as error:
        return None, str(error)


Edits = list[tuple[int, int, bytes]]  # at which place how many bytes make way for which


def edits(places: st.SearchStrategy[int], *tokens: bytes) -> st.SearchStrategy[Edits]:
    """Up to four: bytes taken out, put in or put in the place of others, also those of `tokens`."""
    pieces = st.binary(max_size=6) | st.sampled_from([b"", *tokens])
    return st.lists(st.tuples(places, st.integers(0, 12), pieces), min_size=1, max_size=4)


def edited(data: bytes, changes: Edits) -> bytes:
    """`data` after the edits."""
    for at, length, piece in changes:
        data = data[:at] + piece + data[at + length :]
    return data


def mutated(valid: bytes, *tokens: bytes) -> st.SearchStrategy[bytes]:
    """`valid` with a few edits."""
    return edits(st.integers(0, len(valid)), *tokens).map(lambda changes: edited(valid, changes))


NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(2**63), 2**53, True, 1e308, float("nan"), float("inf")])
TEXTS = st.text(st.characters(), max_size=12) | st.sampled_from(["\ud800", "\0", "a\nb", "\u202e", "~nobody/x", "x" * 5000])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


def dumped(value: Any) -> bytes:
    """JSON in bytes, with what no strict writer would write: NaN, infinities and lone surrogates."""
    return json.dumps(value).encode()
