"""The Prometheus text format: how figures are written so that a scraper reads them.

Source: Prometheus, "Exposition formats", text format 0.0.4. Written here rather than by its client
library: that keeps counts in the process that is asked, or in a file of each process that ever was.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from tunery_trainer.protocol.figures import Histogram

MEDIA_TYPE: Final = "text/plain; version=0.0.4"  # Litestar adds the charset
PREFIX = "tunery_"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

Labels = Mapping[str, str]
Samples = Iterable[tuple[Labels, float]]


class Exposition:
    """A page of figures, written family by family."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def gauge(self, name: str, text: str, samples: Samples) -> None:
        """Write what goes up and down."""
        self._family(name, "gauge", text)
        self._plain(name, samples)

    def counter(self, name: str, text: str, samples: Samples) -> None:
        """Write what only rises; its name ends with `_total`."""
        self._family(name, "counter", text)
        self._plain(name, samples)

    def histogram(self, name: str, text: str, samples: Iterable[tuple[Labels, Histogram]]) -> None:
        """Write how observations are spread; the format's buckets include those below them."""
        self._family(name, "histogram", text)
        for labels, histogram in samples:
            below = 0
            bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
            for bound, count in zip(bounds, histogram.counts, strict=True):
                below += count
                self._sample(f"{name}_bucket", {**labels, "le": bound}, below)
            self._sample(f"{name}_sum", labels, histogram.sum)
            self._sample(f"{name}_count", labels, below)

    def text(self) -> str:
        """Return the page."""
        return "\n".join(self._lines) + "\n"

    def _family(self, name: str, kind: str, text: str) -> None:
        self._lines += [f"# HELP {PREFIX}{name} {text}", f"# TYPE {PREFIX}{name} {kind}"]

    def _plain(self, name: str, samples: Samples) -> None:
        for labels, value in samples:
            self._sample(name, labels, value)

    def _sample(self, name: str, labels: Labels, value: float) -> None:
        inside = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        self._lines.append(
            f"{PREFIX}{name}{{{inside}}} {value!r}" if inside else f"{PREFIX}{name} {value!r}"
        )
