"""Watching a job from a terminal."""

from tunery import Job
from tunery._progress import JobProgress
from tunery.cli.terminal import Terminal


def watch_job(terminal: Terminal, job: Job) -> Job:
    """Draw a job until its end and return it; an interrupt says how to come back.

    Raises:
        JobFailed, JobCancelled: see `Job.wait`.
    """
    try:
        if terminal.json:
            ended = job.wait()
        else:
            with JobProgress(terminal.notes, terminal.language) as shown:
                ended = job.wait(on_update=shown.update, on_event=shown.event)
    except KeyboardInterrupt:
        terminal.say("\n{id} goes on.", id=job.id)
        terminal.say("  Watch it again: tunery jobs watch {id}", id=job.id)
        terminal.say("  Stop it:        tunery jobs cancel {id}", id=job.id)
        raise
    return ended
