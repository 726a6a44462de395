"""What tests of every folder share."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, and all of the one service that e2e shares."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        shares = "service" in names and item.path.parent.name == "e2e"
        group = "the shared service" if shares else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real data sets that stands beside the repository, never in it."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"NOT TESTED: no real data sets in {folder / 'data'}; put them there")
    return folder
