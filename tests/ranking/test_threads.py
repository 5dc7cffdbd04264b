"""One thread for one person: inside the block, nowhere else, and whoever else asks at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_info

from isrf.core.threads import FEW, threads_for

MANY = 3


def threads(kind: str) -> set[int]:
    """Numbers of threads of all pools of a kind ("openmp" or "blas")."""
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == kind}


@pytest.fixture(autouse=True)
def several_threads() -> Iterator[None]:
    """The suite runs on one thread: here every library starts with more."""
    torch.get_num_threads()  # its first look sets a number of its own
    with ThreadpoolController().limit(limits=MANY):
        yield


@pytest.mark.parametrize("people", [0, 1, FEW])
def test_few_people_get_one_thread_and_the_rest_is_as_before(people: int) -> None:
    with threads_for(people):
        assert threads("openmp") == threads("blas") == {1} and torch.get_num_threads() == 1
    assert threads("openmp") == threads("blas") == {MANY} and torch.get_num_threads() == MANY


def test_a_block_of_people_keeps_all_threads() -> None:
    with threads_for(FEW + 1):
        assert threads("openmp") == threads("blas") == {MANY}


def test_an_error_inside_puts_the_threads_back() -> None:
    with pytest.raises(RuntimeError), threads_for(1):
        raise RuntimeError
    assert threads("openmp") == threads("blas") == {MANY}


def test_a_new_thread_of_a_server_works_on_one_thread_from_its_first_call() -> None:
    """torch sets the number of a thread that it meets for the first time: that must not undo the limit."""
    found = []

    def call() -> None:
        with threads_for(1):
            torch.ones(4) @ torch.ones(4)
            found.append(torch.get_num_threads())

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert found == [1]


def test_calls_that_overlap_leave_the_threads_as_they_were() -> None:
    """The first one ends while the second still works."""
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    seen = []

    def first() -> None:
        with threads_for(1):
            first_in.set()
            second_in.wait(10)
        first_out.set()

    def second() -> None:
        first_in.wait(10)
        with threads_for(1):
            second_in.set()
            first_out.wait(10)
            seen.append(torch.get_num_threads())

    both = [threading.Thread(target=work) for work in (first, second)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert seen == [1]
    assert threads("openmp") == threads("blas") == {MANY}
