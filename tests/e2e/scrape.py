"""What `GET /metrics` says, as a scraper reads it."""

import re
from collections.abc import Callable

import httpx

_SAMPLE = re.compile(r"(tunery_\w+?)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Page:
    """One answer; every line that is no comment must be a sample, and no sample may come twice."""

    def __init__(self, text: str) -> None:
        self.samples: Samples = {}
        for line in text.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                continue
            match = _SAMPLE.fullmatch(line)
            assert match is not None, line
            name, labels, value = match.groups()
            assert _LABEL.sub("", labels or "") == "", line
            key = name, frozenset(_LABEL.findall(labels or ""))
            assert key not in self.samples, line
            self.samples[key] = float(value)

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of a family's samples that have these labels."""
        return sum(self.values(name, **labels))

    def values(self, name: str, **labels: str) -> list[float]:
        """Return a family's samples that have these labels."""
        wanted = frozenset(labels.items())
        return [value for (of, has), value in self.samples.items() if of == name and wanted <= has]


def scrape(client: httpx.Client) -> Page:
    """Read the metrics."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Page(answer.text)


def page_when(client: httpx.Client, condition: Callable[[Page], bool]) -> Callable[[], Page | None]:
    """Return what to wait for until a page is as wanted."""

    def look() -> Page | None:
        page = scrape(client)
        return page if condition(page) else None

    return look
