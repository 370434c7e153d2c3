"""Compute values in threads ahead of their use, in order and with bounded memory."""

import collections
import concurrent.futures
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def prefetch(load: Callable[[int], Any], start: int, stop: int, *, threads: int) -> Iterator[Any]:
    """Yield load(start), ..., load(stop - 1) in order, computed ahead in threads (grain).

    A single value is computed in the calling thread.

    Args:
      load: a pure function of its argument, so that a stream entered at any step is the same stream.
      start: the first argument.
      stop: one more than the last argument.
      threads: the number of threads; at most twice as many values are kept ready.
    """
    if stop - start == 1:
        yield load(start)
        return
    import grain  # here, because importing it takes 0.2 s, and the prediction of one poster does not need it

    steps = grain.MapDataset.range(start, stop).map(load)
    yield from steps.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads))


def start_thread(function: Callable[[], _R]) -> concurrent.futures.Future[_R]:
    """Call a function in a thread, and return the future of its result.

    The program can end before the function has returned, for instance after Ctrl-C; an executor would wait for it.
    """
    future: concurrent.futures.Future[_R] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def threaded_map(function: Callable[[_T], _R], items: Iterable[_T], *, chunk_size: int = 16) -> Iterator[_R]:
    """Yield `function` of every item, in order, computed in one thread per core.

    For functions that release the GIL, such as reading, hashing and decoding. `concurrent.futures` alone would take all items
    first, at a kilobyte each.

    Args:
      function: is called with one item.
      items: are taken as they are needed, at most four chunks per thread ahead of what has been yielded.
      chunk_size: the number of items per task.
    """
    iterator = iter(items)
    threads = os.cpu_count() or 1
    pending: collections.deque[concurrent.futures.Future[list[_R]]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        while True:
            while len(pending) < 4 * threads and (chunk := list(itertools.islice(iterator, chunk_size))):
                pending.append(pool.submit(lambda chunk=chunk: [function(item) for item in chunk]))
            if not pending:
                return
            yield from pending.popleft().result()
