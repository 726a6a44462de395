"""What tests of every folder share."""

import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A shell that starts tests in the background has them ignore Ctrl-C, and their children with them.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real data sets that stands beside the repository, never in it."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"NOT TESTED: no real data sets in {folder / 'data'}; put them there")
    return folder
