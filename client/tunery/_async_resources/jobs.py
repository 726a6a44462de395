"""Jobs of `AsyncClient`, see `_resources`."""

from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from tunery import _calls as calls
from tunery._callers import PAGE, AsyncCaller, AsyncPages
from tunery._inputs import id_of
from tunery._progress import JobProgress
from tunery._watching import Patience, both
from tunery.errors import JobCancelled, TuneryError, job_failed
from tunery.types import Checkpoint, Dataset, Event, JobKind, JobStatus, LogText, MetricPoint
from tunery.types import Job as JobState


class AsyncJob(JobState, kw_only=True, frozen=True, dict=True):
    """A job of the contract that can be waited for: it knows the client it came from."""

    async def wait(
        self,
        *,
        timeout: float | None = None,
        progress: bool = False,
        on_update: Callable[[JobState], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        check: bool = True,
    ) -> "AsyncJob":
        """Wait for the end and return the job as it is then; see `AsyncJobs.wait`."""
        return await self._jobs.wait(
            self,
            timeout=timeout,
            progress=progress,
            on_update=on_update,
            on_event=on_event,
            check=check,
        )

    def events(self, *, after: int = 0, timeout: float | None = None) -> AsyncIterator[Event]:
        """Yield what happens to the job; see `AsyncJobs.events`."""
        return self._jobs.events(self, after=after, timeout=timeout)

    async def refresh(self) -> "AsyncJob":
        """Return the job as it is now."""
        return await self._jobs.get(self.id)

    async def cancel(self) -> "AsyncJob":
        """Cancel the job; one that has ended stays as it is."""
        return await self._jobs.cancel(self)

    async def pause(self) -> "AsyncJob":
        """Pause the fine-tune at its next step."""
        return await self._jobs.pause(self)

    async def resume(self) -> "AsyncJob":
        """Queue the paused fine-tune again."""
        return await self._jobs.resume(self)

    async def logs(self, *, tail: int = 200) -> LogText:
        """Return the last lines of the job's log."""
        return await self._jobs.logs(self, tail=tail)

    async def metrics(
        self, *, names: Sequence[str] | None = None, downsample: int | None = None
    ) -> Sequence[MetricPoint]:
        """Return the job's metrics, by step; see `Jobs.metrics`."""
        return await self._jobs.metrics(self, names=names, downsample=downsample)

    async def metrics_csv(
        self, *, names: Sequence[str] | None = None, downsample: int | None = None
    ) -> str:
        """Return the job's metrics as CSV; see `Jobs.metrics_csv`."""
        return await self._jobs.metrics_csv(self, names=names, downsample=downsample)

    async def checkpoints(self) -> Sequence[Checkpoint]:
        """Return the job's checkpoints that are still kept, newest first."""
        return await self._jobs.checkpoints(self)

    @property
    def _jobs(self) -> "AsyncJobs":
        jobs = vars(self).get("jobs")
        if not isinstance(jobs, AsyncJobs):
            raise TuneryError(f"{self.id} was copied and knows no client; use client.jobs.get()")
        return jobs


class AsyncJobs:
    """Everything that takes time: `client.jobs`."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    def list(
        self,
        *,
        status: JobStatus | None = None,
        kind: JobKind | None = None,
        dataset: str | Dataset | None = None,
        after: str | None = None,
    ) -> AsyncPages[JobState]:
        """Iterate over jobs, newest first."""
        of = None if dataset is None else id_of(dataset)
        return AsyncPages(
            lambda last: self._caller.send(
                calls.list_jobs(
                    limit=PAGE, after=last or after, status=status, kind=kind, dataset=of
                )
            )
        )

    async def get(self, job: str | JobState) -> AsyncJob:
        """Return a job as it is now."""
        return self.bound(await self._caller.send(calls.get_job(id_of(job))))

    async def wait(
        self,
        job: str | JobState,
        *,
        timeout: float | None = None,
        progress: bool = False,
        on_update: Callable[[JobState], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        check: bool = True,
    ) -> AsyncJob:
        """Wait for a job's end, through lost connections and restarts of the service.

        `progress` draws it in the terminal. `on_update` is called with the job at each change,
        `on_event` with each event, in order. With `check=False` a job that failed or was
        cancelled is returned like any other.

        Raises:
            JobFailed: it failed; the error holds the reason and the end of the log.
            JobCancelled: it was cancelled.
            TimedOut: it has not ended after `timeout` seconds; it goes on.
        """
        job_id = id_of(job)
        if progress:
            with JobProgress() as shown:
                ended = await self._follow(
                    job_id,
                    timeout,
                    on_update=both(shown.update, on_update),
                    on_event=both(shown.event, on_event),
                )
        else:
            ended = await self._follow(job_id, timeout, on_update=on_update, on_event=on_event)
        if check and ended.status == "failed":
            raise job_failed(ended)
        if check and ended.status == "cancelled":
            raise JobCancelled(f"{job_id} was cancelled", job=ended)
        return ended

    def events(
        self, job: str | JobState, *, after: int = 0, timeout: float | None = None
    ) -> AsyncIterator[Event]:
        """Yield a job's events until its end, each once and in order.

        Goes on after a lost connection and a restart of the service where it was.

        Raises:
            TimedOut: the job has not ended after `timeout` seconds.
        """
        job_id = id_of(job)
        return self._caller.events(job_id, after, Patience(job_id, timeout))

    async def cancel(self, job: str | JobState) -> AsyncJob:
        """Cancel a job; one that has ended stays as it is."""
        return self.bound(await self._caller.send(calls.cancel_job(id_of(job))))

    async def pause(self, job: str | JobState) -> AsyncJob:
        """Pause a running fine-tune at its next step; it gives its device back."""
        return self.bound(await self._caller.send(calls.pause_job(id_of(job))))

    async def resume(self, job: str | JobState) -> AsyncJob:
        """Queue a paused fine-tune again; it goes on from its last checkpoint."""
        return self.bound(await self._caller.send(calls.resume_job(id_of(job))))

    async def logs(self, job: str | JobState, *, tail: int = 200) -> LogText:
        """Return the last lines that the last attempt has logged."""
        return await self._caller.send(calls.get_logs(id_of(job), tail=tail))

    async def metrics(
        self,
        job: str | JobState,
        *,
        names: Sequence[str] | None = None,
        downsample: int | None = None,
    ) -> Sequence[MetricPoint]:
        """Return a job's metrics, by step: all of them, or those of `names`.

        `downsample` is how many points of a metric come at most: its first, its last, and the
        extremes between.
        """
        call = calls.get_metrics(id_of(job), names=names, downsample=downsample)
        return (await self._caller.send(call)).data

    async def metrics_csv(
        self,
        job: str | JobState,
        *,
        names: Sequence[str] | None = None,
        downsample: int | None = None,
    ) -> str:
        """Return a job's metrics as CSV: a line per step, a column per metric; see `metrics`."""
        call = calls.get_metrics_csv(id_of(job), names=names, downsample=downsample)
        return await self._caller.send(call)

    async def checkpoints(self, job: str | JobState) -> Sequence[Checkpoint]:
        """Return a job's checkpoints that are still kept, newest first."""
        return (await self._caller.send(calls.list_checkpoints(id_of(job)))).data

    def bound(self, state: JobState) -> AsyncJob:
        """Return a job that knows this client."""
        job = AsyncJob(**msgspec.structs.asdict(state))
        vars(job)["jobs"] = self
        return job

    async def _follow(
        self,
        job_id: str,
        timeout: float | None,
        *,
        on_update: Callable[[JobState], None] | None,
        on_event: Callable[[Event], None] | None,
    ) -> AsyncJob:
        patience = Patience(job_id, timeout)
        last_seq = 0
        async for state in self._caller.updates(calls.get_job(job_id), patience):
            if on_event is not None:
                async for event in self._events_so_far(job_id, last_seq, patience):
                    last_seq = event.seq
                    on_event(event)
            if on_update is not None:
                on_update(state)
            if state.terminal:
                return self.bound(state)
        raise AssertionError("updates never end")

    async def _events_so_far(
        self, job_id: str, after: int, patience: Patience
    ) -> AsyncIterator[Event]:
        page = await self._caller.ask(calls.list_events(job_id, after=after), patience)
        for event in page.data:
            yield event
        while page.has_more:
            page = await self._caller.ask(calls.list_events(job_id, after=page.last_seq), patience)
            for event in page.data:
                yield event
