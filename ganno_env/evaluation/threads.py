"""What several threads make, as one stream."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax

T = TypeVar("T")

SETTINGS: dict[str, Callable[[Any], contextlib.AbstractContextManager[Any]]] = {
    "jax_enable_x64": jax.enable_x64,
    "jax_numpy_dtype_promotion": jax.numpy_dtype_promotion,
    "jax_default_matmul_precision": jax.default_matmul_precision,
    "jax_debug_nans": jax.debug_nans,
    "jax_debug_infs": jax.debug_infs,
    "jax_disable_jit": jax.disable_jit,
}
"""What a context may say of computations: JAX keeps it for each thread."""


class _Failed(NamedTuple):
    error: BaseException


class _Ended:
    """Put by a thread that is at its end."""


def side_by_side(makers: Sequence[Callable[[], Iterator[T]]]) -> Iterator[T]:
    """What iterators yield, each in a thread of its own, in the order in which it is made.

    With one there is no thread. JAX's settings in the threads are those here. An error in one of
    them is raised here; then, or if no more is wanted, the others end with what they are at.

    Args:
        makers: each makes an iterator.
    """
    if len(makers) == 1:
        yield from makers[0]()
        return
    made: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stop = threading.Event()
    settings = {name: getattr(jax.config, name) for name in SETTINGS}
    arguments = [(make, made, stop, settings) for make in makers]
    threads = [threading.Thread(target=_fill, args=args, daemon=True) for args in arguments]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            match made.get():
                case _Failed(error):
                    raise error
                case _Ended():
                    running -= 1
                case item:
                    yield item
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _fill(
    make: Callable[[], Iterator[Any]],
    made: queue.SimpleQueue[Any],
    stop: threading.Event,
    settings: Mapping[str, Any],
) -> None:
    """A thread's work: puts what an iterator yields, or its error, and then its end."""
    try:
        with contextlib.ExitStack() as stack:
            for name, value in settings.items():
                stack.enter_context(SETTINGS[name](value))
            for item in make():
                made.put(item)
                if stop.is_set():
                    break
    except BaseException as error:  # whatever it is, it is raised where the stream is read
        made.put(_Failed(error))
    finally:
        made.put(_Ended())
