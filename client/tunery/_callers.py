"""Callers: a session with a policy, and the loops that follow something over many answers.

The namespaces of both clients ask through these; what a call says stands in `_calls`, how long to
go on in `_watching`.
"""

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Sequence,
)
from contextlib import aclosing, closing
from typing import Generic, Protocol, TypeVar

from tunery._calls import Call, get_job, stream_events, watched
from tunery._decode import decode
from tunery._http import Answer, AsyncSession, Session
from tunery._retries import Policy
from tunery._watching import EventFeed, Patience
from tunery.errors import TuneryError
from tunery.types import Event, Job

T = TypeVar("T")
PAGE = 100  # items of a page; the service gives no more at once
T_co = TypeVar("T_co", covariant=True)


class AnyPage(Protocol[T_co]):
    """A page of a list, of whatever kind."""

    @property
    def data(self) -> Sequence[T_co]:
        """The items."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether another page follows."""
        ...

    @property
    def last_id(self) -> str | None:
        """What the next page comes after."""
        ...


class Pages(Generic[T]):
    """A list of the service. Iterate it for all items; pages are fetched as they are needed."""

    def __init__(self, fetch: Callable[[str | None], AnyPage[T]]) -> None:
        self._fetch = fetch

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.data

    def pages(self) -> Iterator[AnyPage[T]]:
        """Yield page by page."""
        page = self._fetch(None)
        yield page
        while page.has_more and page.last_id is not None:
            page = self._fetch(page.last_id)
            yield page


class AsyncPages(Generic[T]):
    """A list of the service; `async for` gives all items."""

    def __init__(self, fetch: Callable[[str | None], Awaitable[AnyPage[T]]]) -> None:
        self._fetch = fetch

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.data:
                yield item

    async def pages(self) -> AsyncIterator[AnyPage[T]]:
        """Yield page by page."""
        page = await self._fetch(None)
        yield page
        while page.has_more and page.last_id is not None:
            page = await self._fetch(page.last_id)
            yield page


class Caller:
    """What the namespaces of a `Client` ask through."""

    def __init__(self, session: Session, policy: Policy) -> None:
        self.session = session
        self.policy = policy

    def send(self, call: Call[T], *, key: str | None = None) -> T:
        """Return the answer to a call."""
        return self.session.send(call, self.policy, key)

    def ask(self, call: Call[T], patience: Patience) -> T:
        """Return the answer to a GET, through lost connections and restarts of the service."""
        while True:
            patience.begin()
            try:
                answer = self.session.ask(call, patience.round_until(0))
                value = decode(answer.content, call.of)
            except TuneryError as failure:
                time.sleep(patience.after(failure))
            else:
                patience.answered()
                return value

    def updates(self, call: Call[T], patience: Patience) -> Iterator[T]:
        """Yield a resource now and at each change, for ever."""
        etag: str | None = None
        while True:
            wait = patience.begin()
            try:
                asked = watched(call, etag=etag, wait_seconds=wait)
                answer = self.session.ask(asked, patience.round_until(wait))
                value = None if answer.status == 304 else decode(answer.content, call.of)
            except TuneryError as failure:
                time.sleep(patience.after(failure))
                continue
            patience.answered()
            if value is not None:
                etag = answer.etag
                yield value
            time.sleep(patience.rest())

    def events(self, job_id: str, after: int, patience: Patience) -> Iterator[Event]:
        """Yield the events of a job, each once and in order, until its end."""
        feed = EventFeed(job_id, after)
        while True:
            wait = patience.begin()
            try:
                with closing(self._round(feed, patience, wait)) as events:
                    for event in events:
                        yield event
                        if feed.ended:
                            return
            except TuneryError as failure:
                feed.failed(failure)
                time.sleep(patience.after(failure))
            else:
                if feed.ended:
                    return
                patience.answered()
                time.sleep(patience.rest())

    def _round(self, feed: EventFeed, patience: Patience, wait: int) -> Generator[Event]:
        until = patience.round_until(wait)
        if not feed.streams:
            over = feed.quiet and _is_over(self.session.ask(get_job(feed.job_id), until))
            answer = self.session.ask(feed.list_call(0 if over else wait), until)
            yield from feed.listed(answer.content)
            feed.ended = feed.ended or (over and feed.quiet)
            return
        feed.opened()
        call = stream_events(feed.job_id, after=feed.last_seq)
        with self.session.stream(call, patience.until) as chunks:
            if chunks is None:
                feed.ended = True
                return
            for chunk in chunks:
                patience.answered()  # also a beat, in which no event is
                yield from feed.streamed(chunk)


class AsyncCaller:
    """What the namespaces of an `AsyncClient` ask through."""

    def __init__(self, session: AsyncSession, policy: Policy) -> None:
        self.session = session
        self.policy = policy

    async def send(self, call: Call[T], *, key: str | None = None) -> T:
        """Return the answer to a call."""
        return await self.session.send(call, self.policy, key)

    async def ask(self, call: Call[T], patience: Patience) -> T:
        """Return the answer to a GET, through lost connections and restarts of the service."""
        while True:
            patience.begin()
            try:
                answer = await self.session.ask(call, patience.round_until(0))
                value = decode(answer.content, call.of)
            except TuneryError as failure:
                await asyncio.sleep(patience.after(failure))
            else:
                patience.answered()
                return value

    async def updates(self, call: Call[T], patience: Patience) -> AsyncIterator[T]:
        """Yield a resource now and at each change, for ever."""
        etag: str | None = None
        while True:
            wait = patience.begin()
            try:
                asked = watched(call, etag=etag, wait_seconds=wait)
                answer = await self.session.ask(asked, patience.round_until(wait))
                value = None if answer.status == 304 else decode(answer.content, call.of)
            except TuneryError as failure:
                await asyncio.sleep(patience.after(failure))
                continue
            patience.answered()
            if value is not None:
                etag = answer.etag
                yield value
            await asyncio.sleep(patience.rest())

    async def events(self, job_id: str, after: int, patience: Patience) -> AsyncIterator[Event]:
        """Yield the events of a job, each once and in order, until its end."""
        feed = EventFeed(job_id, after)
        while True:
            wait = patience.begin()
            try:
                async with aclosing(self._round(feed, patience, wait)) as events:
                    async for event in events:
                        yield event
                        if feed.ended:
                            return
            except TuneryError as failure:
                feed.failed(failure)
                await asyncio.sleep(patience.after(failure))
            else:
                if feed.ended:
                    return
                patience.answered()
                await asyncio.sleep(patience.rest())

    async def _round(self, feed: EventFeed, patience: Patience, wait: int) -> AsyncGenerator[Event]:
        until = patience.round_until(wait)
        if not feed.streams:
            over = feed.quiet and _is_over(await self.session.ask(get_job(feed.job_id), until))
            answer = await self.session.ask(feed.list_call(0 if over else wait), until)
            for event in feed.listed(answer.content):
                yield event
            feed.ended = feed.ended or (over and feed.quiet)
            return
        feed.opened()
        call = stream_events(feed.job_id, after=feed.last_seq)
        async with self.session.stream(call, patience.until) as chunks:
            if chunks is None:
                feed.ended = True
                return
            async for chunk in chunks:
                patience.answered()  # also a beat, in which no event is
                for event in feed.streamed(chunk):
                    yield event


def _is_over(answer: Answer) -> bool:
    return decode(answer.content, Job).terminal
