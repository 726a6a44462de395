"""Deployments: a name that answers predictions, what it should serve and what it does serve."""

from typing import Annotated, Literal

from msgspec import Meta

from tunery.types._meta import MAX_INT, SLUG_PATTERN, Answer, Request, Timestamp, about
from tunery.types.problems import ErrorInfo

RuntimeName = Literal["openvino", "torch"]
ServingPrecision = Literal["fp32", "bf16"]
DeploymentStatus = Literal["loading", "ready", "failed", "degraded", "stopped"]


class DeployStep(Request, kw_only=True, frozen=True):
    """Deploys what a fine-tune leaves behind."""

    name: Annotated[str, about("Name of the deployment.", "intent", pattern=SLUG_PATTERN)]


class DeploymentSpec(Request, kw_only=True, frozen=True):
    """What a deployment should serve: a version, or a checkpoint of any job."""

    version: Annotated[str | None, about("Model version.", "intent/3")] = None
    checkpoint: Annotated[
        str | None, about("Checkpoint id.", None, "ckpt_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")
    ] = None
    replicas: Annotated[
        Literal["auto"] | Annotated[int, about("Processes.", 1, ge=1, le=64)],
        about("Engine processes that share the load.", "auto"),
    ] = "auto"
    runtime: Annotated[
        Literal["auto"] | RuntimeName,
        about("`auto` is the compiled one where an export exists.", "auto"),
    ] = "auto"
    precision: Annotated[
        ServingPrecision,
        about("`bf16` is faster where the device has it, and moves probabilities.", "fp32"),
    ] = "fp32"
    strategy: Annotated[Literal["swap"], about("Loads beside the old one, then flips.", "swap")] = (
        "swap"
    )


class Desired(Answer, kw_only=True, frozen=True):
    """What was asked for last."""

    version: Annotated[str | None, about("Model version.", "intent/3")] = None
    checkpoint: Annotated[
        str | None, about("Checkpoint id.", None, "ckpt_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")
    ] = None
    generation: Annotated[int, about("Rises with every PUT.", 4, ge=0, le=MAX_INT)] = 0


class Actual(Answer, kw_only=True, frozen=True):
    """What answers predictions now."""

    version: Annotated[str, about("Version, or checkpoint id.", "intent/3")]
    runtime: Annotated[RuntimeName, about("What computes.", "openvino")]
    precision: Annotated[str, about("Of the weights.", "fp32")]
    replicas: Annotated[int, about("Engine processes.", 1, ge=0, le=MAX_INT)]
    generation: Annotated[int, about("Of the PUT that asked for it.", 4, ge=0, le=MAX_INT)]


class Parity(Answer, kw_only=True, frozen=True):
    """The served runtime against torch, on real rows."""

    rows: Annotated[int, about("Rows compared.", 256, ge=0, le=MAX_INT)]
    labels_changed: Annotated[int, about("Rows with another label.", 0, ge=0, le=MAX_INT)]
    largest_difference: Annotated[float, about("Of a probability.", 2.9e-6, ge=0, le=1)]


class DeploymentEvent(Answer, kw_only=True, frozen=True):
    """One line of a deployment's history."""

    at: Timestamp
    generation: Annotated[int, about("Of the PUT.", 4, ge=0, le=MAX_INT)]
    version: Annotated[str, about("Version, or checkpoint id.", "intent/3")]
    outcome: Annotated[str, about("`ready`, or a problem code.", "ready")]


class Deployment(Answer, kw_only=True, frozen=True):
    """A name that answers `POST /predict`."""

    name: Annotated[str, about("Use it as `model` of a prediction.", "intent")]
    status: Annotated[
        DeploymentStatus,
        about("`degraded`: the old one serves on, `error` says why the new one does not."),
    ]
    desired: Annotated[Desired, about("What was asked for last.")]
    actual: Annotated[Actual | None, about("What answers predictions now.")]
    parity: Annotated[Parity | None, about("The served runtime against torch.")]
    load_ms: Annotated[
        Annotated[float, Meta(ge=0, le=1e12)] | None, about("Start to first answer.", 310.0)
    ]
    error: Annotated[ErrorInfo | None, about("Why it is not what was asked for.")]
    history: Annotated[list[DeploymentEvent], about("Newest first, at most 20.")]
    updated_at: Timestamp
