"""Work on several items at once, for work that mostly waits."""

from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(work: Callable[[T], R], items: Sequence[T], *, workers: int) -> Iterator[tuple[T, R]]:
    """Each item and what ``work`` makes of it, in the order in which they are done.

    After a failure nothing more is begun; what was under way is still yielded, then the failure is raised. A process
    that ends does not wait for the threads. With one worker there are no threads.
    """
    if workers == 1:
        yield from ((item, work(item)) for item in items)
        return
    waiting: SimpleQueue[T] = SimpleQueue()
    done: SimpleQueue[tuple[T, R] | BaseException | None] = SimpleQueue()
    for item in items:
        waiting.put(item)
    stop, failure = Event(), None
    threads = [Thread(target=_serve, args=(work, waiting, done, stop), daemon=True) for _ in items[:workers]]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            while (outcome := done.get()) is not None:
                if isinstance(outcome, BaseException):
                    failure = failure or outcome
                else:
                    yield outcome
    finally:
        stop.set()
    if failure:
        raise failure


def _serve(
    work: Callable[[T], R],
    waiting: "SimpleQueue[T]",
    done: "SimpleQueue[tuple[T, R] | BaseException | None]",
    stop: Event,
) -> None:
    """Do one waiting item after the other until there is none, or one has failed; None says that this thread ends."""
    while not stop.is_set():
        try:
            item = waiting.get_nowait()
        except Empty:
            break
        try:
            done.put((item, work(item)))
        except BaseException as error:
            stop.set()
            done.put(error)
    done.put(None)
