"""Models: names with immutable, numbered versions, each with its whole lineage."""

from typing import Annotated

from tunery.types._meta import MAX_INT, Answer, Count, Timestamp, about
from tunery.types.deployments import Parity


class ModelVersion(Answer, kw_only=True, frozen=True):
    """What a succeeded fine-tune leaves behind. It never changes."""

    version: Annotated[str, about("Name and number.", "intent/3")]
    model: Annotated[str, about("Name of the model.", "intent")]
    number: Annotated[int, about("Rises by one per model.", 3, ge=1, le=MAX_INT)]
    task: Annotated[str, about("What it does.", "text_classification")]
    labels: Annotated[list[str], about("In the order of its outputs.")]
    base_model: Annotated[
        str, about("What was fine-tuned: of the allowlist, or a version.", "minilm-l6", "intent/2")
    ]
    dataset: Annotated[str, about("What it was trained on.", "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    dataset_fingerprint: Annotated[str, about("Hash of rows and splits.", "sha256:9f86…")]
    job: Annotated[str, about("The fine-tune.", "job_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")]
    checkpoint: Annotated[
        str | None,
        about("What it was made from, while kept.", None, "ckpt_01JD8Y3G5Z8N4W2Q6R7T9V1X3B"),
    ]
    manifest_sha256: Annotated[str, about("Hash of its manifest.", "9f86d081884c…")]
    bytes: Annotated[int, about("Size on disk.", 180_000_000, ge=0, le=MAX_INT)]
    parity: Annotated[Parity | None, about("Its export against torch.")]
    seal: Annotated[str, about("What kept the test split from training.", "landlock-7")]
    created_at: Timestamp


class Model(Answer, kw_only=True, frozen=True):
    """A name and its newest version."""

    name: Annotated[str, about("Name of the model.", "intent")]
    versions: Annotated[Count, about("How many there are.", 3)]
    latest: Annotated[ModelVersion, about("The newest one.")]
