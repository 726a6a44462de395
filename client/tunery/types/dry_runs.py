"""Dry runs: what a rehearsal of a fine-tune has shown."""

from typing import Annotated

from tunery.types._meta import MAX_INT, Answer, about
from tunery.types.deployments import Parity


class DryRun(Answer, kw_only=True, frozen=True):
    """A fine-tune on one row of a hundred: trained, saved, exported, loaded, asked.

    Nothing of it is kept. The loaded version has answered as the trained one did.
    """

    steps: Annotated[int, about("Optimizer steps taken.", 20, ge=0, le=MAX_INT)]
    first_loss: Annotated[float, about("Of the first step.", 4.34, ge=-1e12, le=1e12)]
    last_loss: Annotated[float, about("Of the last step.", 3.9, ge=-1e12, le=1e12)]
    seconds_per_step: Annotated[float, about("The median.", 0.31, ge=0, le=1e9)]
    peak_memory_bytes: Annotated[
        int, about("Of the process, or of its GPU.", 1_300_000_000, ge=0, le=MAX_INT)
    ]
    checkpoint_bytes: Annotated[int, about("Of one checkpoint.", 272_000_000, ge=0, le=MAX_INT)]
    version_bytes: Annotated[int, about("Of the version.", 182_000_000, ge=0, le=MAX_INT)]
    parity: Annotated[Parity | None, about("The export; null where it was left out.")]
    runtime: Annotated[str, about("What would serve it.", "openvino")]
    load_ms: Annotated[float, about("Until it answered.", 240.0, ge=0, le=1e9)]
