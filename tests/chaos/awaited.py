"""An AsyncClient behind the face of a Client, so that the same traffic drives both.

All such clients share one event loop in one thread; whoever asks blocks until that has answered.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Self

import tunery


class Awaited:
    """Something of an AsyncClient: what it gives out is awaited, or wrapped in turn."""

    def __init__(self, inner: Any, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._inner = inner
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return self._faced(getattr(self._inner, name))

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._faced(self._inner(*arguments, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._inner.close())

    def _faced(self, value: Any) -> Any:
        if inspect.iscoroutine(value):
            return self._faced(self._run(value))
        if hasattr(value, "__aiter__"):
            return self._items(value)
        if callable(value) or type(value).__module__.startswith("tunery._async"):
            return Awaited(value, self._run)
        return value

    def _items(self, items: Any) -> Iterator[Any]:
        iterator = aiter(items)

        async def following() -> Any:
            return await anext(iterator, None)

        while (item := self._run(following())) is not None:
            yield item


@contextmanager
def event_loop() -> Iterator[Callable[..., Any]]:
    """Run an event loop in a thread; yield what makes clients that live in it.

    Takes the arguments of `AsyncClient`.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="awaited")
    thread.start()

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(120)

    def new_client(*arguments: Any, **options: Any) -> Any:
        async def made() -> tunery.AsyncClient:
            return tunery.AsyncClient(*arguments, **options)

        return Awaited(run(made()), run)

    try:
        yield new_client
        run(loop.shutdown_asyncgens())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


CLIENTS: dict[str, Callable[[], AbstractContextManager[Callable[..., Any]]]] = {
    "Client": lambda: nullcontext(tunery.Client),
    "AsyncClient": event_loop,
}
