"""The states of a job and the edges between them, as `server/README.md` draws them."""

from tunery.types import TERMINAL

EDGES: frozenset[tuple[str, str]] = frozenset(
    {
        ("queued", "running"),
        ("queued", "cancelled"),
        ("running", "succeeded"),
        ("running", "failed"),
        ("running", "queued"),
        ("running", "pausing"),
        ("running", "cancelling"),
        ("pausing", "paused"),
        ("pausing", "succeeded"),
        ("pausing", "failed"),
        ("pausing", "cancelling"),
        ("paused", "queued"),
        ("paused", "cancelled"),
        ("cancelling", "cancelled"),
    }
)
LIVE = frozenset({"running", "pausing", "cancelling"})  # a child may be at work


def sources(target: str) -> frozenset[str]:
    """Return the states from which a job may move to the target."""
    return frozenset(source for source, end in EDGES if end == target)


def ends(status: str) -> bool:
    """Return whether a job in this state has ended."""
    return status in TERMINAL
