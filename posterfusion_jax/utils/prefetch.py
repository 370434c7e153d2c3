"""A function over many things in a few threads, with no more than a few results waiting."""

import collections
import concurrent.futures
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def threaded_map(function: Callable[[_T], _R], items: Iterable[_T], *, at_once: int = 16) -> Iterator[_R]:
    """`function` of every item, in order, in a thread a core: for functions that release the GIL, as reading, hashing and
    decoding do. `concurrent.futures` alone would take all items at once, at a kilobyte each.

    Args:
      at_once: items a task, which share its cost. At most four tasks a thread are taken ahead of what has been yielded.
    """
    iterator = iter(items)
    threads = os.cpu_count() or 1
    waiting: collections.deque[concurrent.futures.Future[list[_R]]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        while True:
            while len(waiting) < 4 * threads and (some := list(itertools.islice(iterator, at_once))):
                waiting.append(pool.submit(lambda some=some: [function(item) for item in some]))
            if not waiting:
                return
            yield from waiting.popleft().result()
