"""Failures that have a code of the problem table (tunery.types.problems).

Exception
 ├── Failure        of a job: becomes the event Failed(code, message), and the child exits with 1
 └── Refusal        of a request to an engine or the reader: becomes Refused(code, message)

Whatever else a job's child raises is a fault of its own: it exits with 70 and is tried again.
"""


class Failure(Exception):
    """The job can't succeed, and trying again would not help."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Refusal(Exception):
    """The request has no answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
