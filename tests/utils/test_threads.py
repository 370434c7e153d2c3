"""A function over many things in threads: order, faults, and how far ahead it runs."""

import os
import threading

import pytest

from posterfusion_jax.utils.prefetch import start_thread, threaded_map


def test_results_come_in_order():
    assert list(threaded_map(lambda n: n * n, range(1000))) == [n * n for n in range(1000)]
    assert list(threaded_map(str, ())) == []


def test_it_runs_in_other_threads_and_not_far_ahead():
    taken = []
    results = threaded_map(lambda n: threading.current_thread() is threading.main_thread(), iter(taken_from(taken, 10_000)))
    assert not next(results)
    assert len(taken) <= 16 * 4 * (os.cpu_count() or 1) + 16
    assert not any(results)
    assert len(taken) == 10_000


def taken_from(taken: list[int], count: int):
    for n in range(count):
        taken.append(n)
        yield n


def test_a_fault_is_raised_where_its_result_would_come():
    results = threaded_map(lambda n: 1 // (50 - n), range(100))
    with pytest.raises(ZeroDivisionError):
        list(results)


def test_a_started_thread_gives_its_result_or_its_error():
    main = threading.main_thread()
    assert start_thread(lambda: threading.current_thread() is main).result() is False
    with pytest.raises(ZeroDivisionError):
        start_thread(lambda: 1 // 0).result()
