"""Tables. The API writes desired columns, the supervisor actual ones; no column has two writers.

Every row belongs to a project. Events and history are only ever appended.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from tunery.types import (
    Actual,
    ColumnsUsed,
    DatasetSpec,
    DeploymentSpec,
    ErrorInfo,
    Evaluation,
    JobResult,
    Parity,
    Progress,
    Resolved,
    Transform,
)
from tunery_server.db.columns import Json, Moment

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _project() -> Column[str]:
    return Column("project", String(64), nullable=False)


files = Table(
    "files",
    metadata,
    Column("id", String(40), primary_key=True),
    _project(),
    Column("name", String(256), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),  # also the artifact: files/<sha256>
    Column("media_type", String(128), nullable=False),
    Column("created_at", Moment, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(40), primary_key=True),
    _project(),
    Column("name", String(256), nullable=False),
    Column("name_folded", String(256), nullable=False),  # names that differ in case are refused
    Column("version", Integer, nullable=False),
    Column("parent", String(40)),
    Column("task", String(64), nullable=False),
    Column("spec", Json(DatasetSpec), nullable=False),  # of a transformed one: its parent's
    Column("job", String(40), nullable=False),
    Column("created_at", Moment, nullable=False),
    # what the ingest found: the supervisor writes it
    Column("status", String(16), nullable=False),
    Column("columns", Json(ColumnsUsed)),
    Column("splits", Json(dict[str, int])),
    Column("labels", Json(list[str])),
    Column("fingerprint", String(80)),
    Column("warnings", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("error", Json(ErrorInfo)),
    Column("artifact", String(128)),
    Column("manifest_sha256", String(64)),
    Column("transforms", Json(list[Transform])),  # the API's; null where files were ingested
    UniqueConstraint("project", "name", "version"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    _project(),
    Column("kind", String(16), nullable=False),
    Column("spec", Json(dict[str, Any]), nullable=False),
    Column("dataset", String(40)),
    Column("created_at", Moment, nullable=False),
    # desired: the API writes these
    Column("desired", String(16), nullable=False),  # run | pause | cancel
    Column("priority", Integer, nullable=False),
    # actual: the supervisor writes these
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),  # the fence of every write
    Column("deaths", Integer, nullable=False),  # abnormal ends so far
    Column("not_before", Moment),  # back-off
    Column("resolved", Json(dict[str, Resolved]), nullable=False),
    Column("progress", Json(Progress)),
    Column("result", Json(JobResult)),
    Column("stop_reason", String(64)),
    Column("error", Json(ErrorInfo)),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("last_seq", Integer, nullable=False),
    Index(None, "status", "priority"),
    Index(None, "project", "id"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("job", String(40), primary_key=True),
    Column("seq", Integer, primary_key=True),
    _project(),
    Column("at", Moment, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("type", String(16), nullable=False),
    Column("data", Json(dict[str, Any]), nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", String(40), primary_key=True),
    _project(),
    Column("job", String(40), nullable=False),
    Column("step", Integer, nullable=False),
    Column("epoch", Float, nullable=False),
    Column("metrics", Json(dict[str, float | None]), nullable=False),
    Column("best", Boolean, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("artifact", String(128), nullable=False),
    Column("manifest_sha256", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Index(None, "job", "step"),
)

versions = Table(
    "versions",
    metadata,
    _project(),
    Column("model", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("task", String(64), nullable=False),
    Column("labels", Json(list[str]), nullable=False),
    Column("base_model", String(256), nullable=False),
    Column("dataset", String(40), nullable=False),
    Column("dataset_fingerprint", String(80), nullable=False),
    Column("job", String(40), nullable=False, unique=True),  # a job publishes once
    Column("checkpoint", String(40)),
    Column("bytes", BigInteger, nullable=False),
    Column("artifact", String(128), nullable=False),
    Column("manifest_sha256", String(64), nullable=False),
    Column("parity", Json(Parity)),
    Column("seal", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("project", "model", "number"),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", String(40), primary_key=True),
    _project(),
    Column("job", String(40), nullable=False, unique=True),
    Column("dataset", String(40), nullable=False),
    Column("split", String(16), nullable=False),
    Column("version", String(80)),
    Column("evaluation", Json(Evaluation), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("artifact", String(128)),  # its rows; null once they are deleted
    Column("manifest_sha256", String(64)),
    Index(None, "dataset", "split"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    # desired
    Column("desired", Json(DeploymentSpec)),  # null: stop serving
    Column("generation", Integer, nullable=False),
    # actual
    Column("actual_generation", Integer, nullable=False),  # the last one that was carried out
    Column("status", String(16), nullable=False),
    Column("actual", Json(Actual)),
    Column("actual_spec", Json(DeploymentSpec)),  # what serves, to bring it back after a restart
    Column("parity", Json(Parity)),
    Column("load_ms", Float),
    Column("error", Json(ErrorInfo)),
    Column("updated_at", Moment, nullable=False),
)

deployment_events = Table(
    "deployment_events",
    metadata,
    Column("id", String(40), primary_key=True),
    _project(),
    Column("name", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("version", String(80), nullable=False),
    Column("spec", Json(DeploymentSpec), nullable=False),
    Column("outcome", String(64), nullable=False),
    Index(None, "project", "name", "generation"),
)

processes = Table(
    "processes",
    metadata,
    Column("pid", Integer, primary_key=True),
    Column("start_ticks", BigInteger, primary_key=True),  # since boot, of /proc/<pid>/stat
    Column("boot_id", String(64), primary_key=True),
    Column("role", String(16), nullable=False),  # api | job | reader | engine | spare
    Column("owner", String(128), nullable=False),  # a job, or a deployment
)

# Which engines answer for a deployment: the supervisor writes it, API workers read it.
routes = Table(
    "routes",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("socket", String(256), primary_key=True),
    Column("version", String(80), nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    _project(),
    Column("name", String(256), nullable=False),
    Column("scope", String(16), nullable=False),  # predict < train < admin
    Column("sha256", LargeBinary(32), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),  # null: never
    Column("last_used_at", Moment),  # to the minute
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("request_sha256", String(64), nullable=False),  # of method, path, body
    Column("created_at", Moment, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", Json(dict[str, str]), nullable=False),
    Column("body", LargeBinary, nullable=False),
)
