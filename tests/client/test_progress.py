"""The line of a running job."""

import msgspec
from tests.client.answers import RUNNING

from tunery._language import translator
from tunery._progress import progress_text
from tunery.types import Job


def test_a_loss_of_the_last_attempt_is_not_shown_before_the_first_step() -> None:
    begun = msgspec.convert({**RUNNING, "progress": {"phase": "tokenising"}}, Job)
    training = msgspec.convert(RUNNING, Job)

    assert progress_text(begun, [0.368], translator("en")) == "tokenising"
    assert progress_text(training, [0.368], translator("en")) == ("training  step 3/9  loss 0.368")
