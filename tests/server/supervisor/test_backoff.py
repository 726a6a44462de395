"""When the next engine is started where engines die."""

from tunery_server.supervisor.backoff import MAX_PAUSE_SECONDS, Backoff


class Clock:
    """A time that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_death_in_a_row_waits_twice_as_long() -> None:
    backoff = Backoff(Clock())

    pauses = []
    for _ in range(10):
        backoff.count()
        pauses.append(backoff.pause_seconds)

    assert pauses == [0, 1, 2, 4, 8, 16, 32, *[MAX_PAUSE_SECONDS] * 3]
    assert backoff.deaths == 10


def test_thousands_of_deaths_wait_as_long_as_ten() -> None:
    backoff = Backoff(Clock())

    for _ in range(3000):
        backoff.count()

    assert (backoff.deaths, backoff.pause_seconds) == (3000, MAX_PAUSE_SECONDS)


def test_an_engine_that_had_served_dies_for_the_first_time() -> None:
    """Of two that are killed in turn one is always missing, and none is in a crash-loop."""
    clock = Clock()
    backoff = Backoff(clock)
    for _ in range(5):
        loaded_at, clock.now = clock.now, clock.now + 2.5
        backoff.count(loaded_at=loaded_at)

        assert (backoff.deaths, backoff.pause_seconds) == (1, 0)


def test_an_engine_that_dies_soon_does_not() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    for _ in range(3):
        loaded_at, clock.now = clock.now, clock.now + 1.5
        backoff.count(loaded_at=loaded_at)

    assert (backoff.deaths, backoff.pause_seconds) == (3, 2)
    clock.now += 1.5
    assert backoff.pause_seconds == 0.5
    backoff.forget()
    backoff.count()
    assert (backoff.deaths, backoff.pause_seconds) == (1, 0)
