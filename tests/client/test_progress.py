"""The line of a running job."""

import io

import msgspec
from rich.console import Console
from tests.client.answers import RUNNING

from tunery._language import translator
from tunery._progress import JobProgress, progress_text
from tunery.types import Event, Job


def test_a_loss_of_the_last_attempt_is_not_shown_before_the_first_step() -> None:
    begun = msgspec.convert({**RUNNING, "progress": {"phase": "tokenising"}}, Job)
    training = msgspec.convert(RUNNING, Job)

    assert progress_text(begun, [0.368], translator("en")) == "tokenising"
    assert progress_text(training, [0.368], translator("en")) == ("training  step 3/9  loss 0.368")


def test_what_a_job_says_of_its_start_is_printed() -> None:
    printed = io.StringIO()
    data = {"message": "intent/2: kept: the encoder and 3 of 3 rows of the head", "kept": 3}
    event = Event(seq=1, at="2026-11-27T00:00:00Z", job="job_1", type="log", data=data)

    JobProgress(Console(file=printed, width=100)).event(event)

    assert printed.getvalue() == "intent/2: kept: the encoder and 3 of 3 rows of the head\n"
