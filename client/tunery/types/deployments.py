"""Deployments: a name that answers predictions, what it should serve and what it does serve."""

from typing import Annotated, Literal

from msgspec import Meta

from tunery.types._meta import (
    MAX_INT,
    SLUG_PATTERN,
    Answer,
    Request,
    Score,
    Timestamp,
    about,
)
from tunery.types.problems import ErrorInfo

RuntimeName = Literal["openvino", "torch"]
ServingPrecision = Literal["fp32", "bf16", "int8"]
Strategy = Literal["swap", "recreate"]
DeploymentStatus = Literal["loading", "ready", "idle", "failed", "degraded", "stopped"]

_LABEL_CHANGE = "Whether it may have other labels than what serves under the name."


class Gate(Request, kw_only=True, frozen=True):
    """What a version must have shown before it takes over; an unset rule asks for nothing.

    It rests on the newest evaluations of the version and of what serves, of the same rows, through
    the runtime and in the precision that the version shall be served with.
    """

    dataset: Annotated[
        Annotated[str, Meta(max_length=64)] | None,
        about(
            "On whose rows; null is the dataset that the version was trained on.",
            None,
            "ds_01JD8Y3G5Z8N4W2Q6R7T9V1X3B",
        ),
    ] = None
    split: Annotated[Literal["validation", "test"], about("Which of them.", "test")] = "test"
    minimum: Annotated[
        dict[Annotated[str, Meta(max_length=300)], Score],
        about(
            "Least value of metrics, by name; of one label `recall@label`, `precision@label` or "
            "`f1@label`.",
            {"macro_f1": 0.9, "recall@spam": 0.95},
            max_length=50,
        ),
    ] = {}
    maximum: Annotated[
        dict[Annotated[str, Meta(max_length=300)], Score],
        about("Largest value of metrics, such as of `mae` or `loss`.", {"mae": 0.4}, max_length=50),
    ] = {}
    no_loss: Annotated[
        bool, about("It is not worse than what serves, on the whole, by more than chance.", True)
    ] = True
    no_label_loss: Annotated[bool, about("Nor in any label, all taken together.", True)] = True
    max_latency_ms: Annotated[
        Annotated[float, Meta(gt=0, le=1e9)] | None,
        about("19 of 20 single texts take no longer, as its evaluation has measured.", None, 20.0),
    ] = None


class DeployStep(Request, kw_only=True, frozen=True):
    """Deploys what a fine-tune leaves behind."""

    name: Annotated[str, about("Name of the deployment.", "intent", pattern=SLUG_PATTERN)]
    allow_label_change: Annotated[bool, about(_LABEL_CHANGE, False)] = False
    gate: Annotated[
        Gate | None, about("Judged when the evaluation that follows has ended; null lets all pass.")
    ] = None


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
        about(
            "`bf16` and `int8` are faster where the device has them, and move probabilities: "
            "`bf16` by hundredths, `int8`, of compiled versions on CPUs, by tenths.",
            "fp32",
        ),
    ] = "fp32"
    strategy: Annotated[
        Strategy,
        about(
            "`swap` loads beside the old one, then flips. `recreate` unloads the old one first, "
            "where there is no room for both: predictions wait meanwhile.",
            "swap",
        ),
    ] = "swap"
    pinned: Annotated[bool, about("Never unloaded to make room for others.", False)] = False
    allow_label_change: Annotated[bool, about(_LABEL_CHANGE, False)] = False
    gate: Annotated[
        Gate | None, about("What it must have shown before it takes over; null lets all pass.")
    ] = None


class Desired(Answer, kw_only=True, frozen=True):
    """What was asked for last."""

    version: Annotated[str | None, about("Model version.", "intent/3")] = None
    checkpoint: Annotated[
        str | None, about("Checkpoint id.", None, "ckpt_01JD8Y3G5Z8N4W2Q6R7T9V1X3B")
    ] = None
    pinned: Annotated[bool, about("Never unloaded to make room for others.", False)] = False
    generation: Annotated[int, about("Rises with every PUT.", 4, ge=0, le=MAX_INT)] = 0


class Actual(Answer, kw_only=True, frozen=True):
    """What answers predictions now; without replicas while the deployment is idle."""

    version: Annotated[str, about("Version, or checkpoint id.", "intent/3")]
    runtime: Annotated[RuntimeName, about("What computes.", "openvino")]
    precision: Annotated[str, about("Of the weights.", "fp32")]
    replicas: Annotated[int, about("Engine processes.", 1, ge=0, le=MAX_INT)]
    memory_bytes: Annotated[
        int,
        about(
            "What they hold of their device, measured after the load and when it has changed by "
            "a tenth. What processes share is counted once.",
            220_000_000,
            ge=0,
            le=MAX_INT,
        ),
    ] = 0
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
        about(
            "`degraded`: the old one serves on, `error` says why the new one does not. "
            "`idle`: unloaded to make room; the next prediction brings it back."
        ),
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


class Occupant(Answer, kw_only=True, frozen=True):
    """A deployment that holds memory of a device."""

    name: Annotated[str, about("The deployment.", "intent")]
    version: Annotated[str, about("Version, or checkpoint id.", "intent/3")]
    replicas: Annotated[int, about("Engine processes.", 1, ge=0, le=MAX_INT)]
    memory_bytes: Annotated[int, about("What they hold.", 220_000_000, ge=0, le=MAX_INT)]
    pinned: Annotated[bool, about("Never unloaded to make room for others.", False)]


class Device(Answer, kw_only=True, frozen=True):
    """The memory of a device, as far as engines share it."""

    device: Annotated[str, about("Its name.", "cpu")]
    budget_bytes: Annotated[
        int, about("What all engines may hold; 0 is no limit.", 16_000_000_000, ge=0, le=MAX_INT)
    ]
    used_bytes: Annotated[
        int, about("What those of all projects hold.", 220_000_000, ge=0, le=MAX_INT)
    ]
    occupants: Annotated[list[Occupant], about("Deployments of this project, largest first.")]


class DeviceList(Answer, kw_only=True, frozen=True):
    """Every device that serves."""

    data: Annotated[list[Device], about("One, on a machine without several GPUs.")]
