"""The report in a real browser: a page of payloads runs none of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.server.report.facts import PAYLOADS, facts_of

from tunery_server.report import page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def dom_of(source: str, path: Path) -> str:
    """Return what a page has become in the browser, after its scripts, if any."""
    path.write_text(source, "utf-8")
    assert CHROMIUM is not None
    flags = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={path.parent / 'u'}")
    done = subprocess.run(
        [CHROMIUM, *flags, "--virtual-time-budget=1000", "--dump-dom", path.as_uri()],
        capture_output=True,
        check=True,
        timeout=120,
    )
    return done.stdout.decode()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_nothing_of_a_payload_runs(tmp_path: Path) -> None:
    together = " ".join(PAYLOADS)
    canary = "<title>quiet</title><script>document.title = 'ran'</script>"

    shown = dom_of(
        page.html(facts_of(together, f"{together} 2", together), "en"), tmp_path / "a.html"
    )
    ran = dom_of(canary, tmp_path / "b.html")

    title, *_ = re.findall(r"<title>([^<]*)</title>", shown)
    assert title.startswith("intent/3 · ")
    assert "<script" not in shown
    assert "<title>ran</title>" in ran  # a browser that runs nothing would prove nothing
