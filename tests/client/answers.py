"""What a service answers, written out, and clients that talk to one that a test makes up."""

from collections.abc import Callable
from typing import Any

import httpx

from tunery import AsyncClient, Client

URL = "http://service.test"
KEY = "tnr_00000000_secret"
AT = "2026-11-23T20:11:00.000000Z"
JSON = dict[str, Any]
CSV = b"text,label\nhi,good"
Handler = Callable[[httpx.Request], httpx.Response]

FILE: JSON = {
    "id": "file_01JD8Y3G5Z8N4W2Q6R7T9V1X3B",
    "name": "reviews.csv",
    "bytes": 18,
    # Of CSV, below.
    "sha256": "3bd8c6f21d3606e6bd8b4e7e3efb2267b779a29aab2bb9aa7fc7a5df3ad4f47b",
    "media_type": "text/csv",
    "created_at": AT,
}
DATASET: JSON = {
    "id": "ds_1",
    "name": "reviews",
    "version": 1,
    "parent": None,
    "status": "ready",
    "task": "text_classification",
    "job": "job_0",
    "columns": {"text": "text", "label": "label", "inferred": True},
    "splits": {"train": 7, "validation": 2, "test": 2},
    "labels": ["bad", "good"],
    "fingerprint": "sha256:9f86",
    "warnings": 0,
    "errors": 0,
    "error": None,
    "created_at": AT,
}
TRANSFORMED: JSON = {
    **DATASET,
    "id": "ds_2",
    "version": 2,
    "parent": "ds_1",
    "transforms": [
        {"op": "relabel", "labels": {"awful": "bad"}, "rows": []},
        {"op": "strip_html"},
    ],
}
REPORT: JSON = {
    "dataset": "ds_1",
    "rows": 11,
    "accepted": 11,
    "encoding": "utf-8",
    "dialect": {"format": "csv", "delimiter": ",", "newline": "lf", "inferred": True},
    "columns": {"text": "text", "label": "label", "inferred": True},
    "errors": [],
    "errors_total": 0,
    "warnings": [],
    "warnings_total": 0,
    "labels": {"counts": {"train": {"good": 4, "bad": 3}}, "variants": []},
    "duplicates": {"exact": 0, "dropped": 0, "groups": []},
    "conflicts": {"texts": 0, "dropped": 0, "examples": []},
    "leakage": {"exact": 0, "normalised": 0, "dropped": 0, "examples": []},
}
ROW: JSON = {"line": 2, "text": "I lost my card", "label": "lost_or_stolen_card"}
PREVIEW: JSON = {
    "base_model": "minilm-l6",
    "max_length": 64,
    "rows": [],
    "unknown_share": 0.0,
}
CHANGES: JSON = {"rows": 0, "examples": []}
DIFF: JSON = {
    "before": "ds_0",
    "after": "ds_1",
    "unchanged": 11,
    "added": CHANGES,
    "removed": CHANGES,
    "relabelled": CHANGES,
    "moved": CHANGES,
    "labels": [],
}
JOB: JSON = {
    "id": "job_1",
    "kind": "finetune",
    "status": "succeeded",
    "terminal": True,
    "attempt": 1,
    "priority": 50,
    "queue": None,
    "progress": None,
    "resolved": {"learning_rate": {"value": 0.0002, "source": "auto:encoder-small"}},
    "result": {"dataset": "ds_1", "version": "intent/3", "evaluation": "eval_1"},
    "stop_reason": None,
    "error": None,
    "spec": {"model": "intent"},
    "created_at": AT,
    "started_at": AT,
    "finished_at": AT,
}
QUEUED: JSON = {
    **JOB,
    "status": "queued",
    "terminal": False,
    "attempt": 0,
    "queue": {"position": 1, "reason": "waiting-for-device", "eta_seconds": 5.0},
    "result": None,
    "started_at": None,
    "finished_at": None,
}
RUNNING: JSON = {
    **QUEUED,
    "status": "running",
    "attempt": 1,
    "queue": None,
    "progress": {"phase": "training", "step": 3, "total_steps": 9},
}
FAILED: JSON = {
    **JOB,
    "status": "failed",
    "result": None,
    "error": {
        "code": "crash-loop",
        "message": "the trainer died three times",
        "hint": "See the log of the last attempt.",
        "log_tail": "step 3\nMemoryError\n",
    },
}
ESTIMATE: JSON = {
    "resolved": JOB["resolved"],
    "rows": 7,
    "tokens": 1800,
    "steps": 9,
    "seconds": 12.5,
    "measured": {"job": "job_0", "device": "cpu", "tokens_per_second": 900.0, "alike": False},
    "reason": None,
    "memory_bytes": 1_100_000_000,
    "disk_bytes": 271_500_000,
    "checkpoints": 3,
    "checkpoint_bytes": 60_000_000,
    "version_bytes": 91_500_000,
    "queue": None,
}
CHECKPOINT: JSON = {
    "id": "ckpt_1",
    "job": "job_1",
    "step": 3,
    "epoch": 1.0,
    "metrics": {"macro_f1": 0.91},
    "best": True,
    "bytes": 271,
    "manifest_sha256": "9f86",
    "created_at": AT,
}
EVALUATION: JSON = {
    "id": "eval_1",
    "version": "intent/3",
    "checkpoint": None,
    "dataset": "ds_1",
    "split": "test",
    "rows": 2,
    "job": "job_2",
    "runtime": "torch",
    "precision": "fp32",
    "metrics": {"accuracy": {"value": 0.926}},
    "per_class": [],
    "confusion": {"labels": ["bad", "good"], "matrix": [[1, 0], [0, 1]]},
    "test_set_uses": 1,
    "created_at": AT,
}
EVALUATED_ROW: JSON = {
    "row": 0,
    "line": 7,
    "text": "I lost my card",
    "label": "lost_or_stolen_card",
    "predicted": "card_arrival",
    "score": 0.6,
    "margin": -0.4,
    "loss": 1.6,
}
LABEL_ISSUE: JSON = {
    "split": "train",
    "line": 7,
    "text": "I lost my card",
    "label": "card_arrival",
    "suggested_label": "lost_or_stolen_card",
    "quality": 0.01,
    "margin": -0.9,
}
COMPARISON: JSON = {
    "dataset": "ds_1",
    "split": "test",
    "runtime": "openvino",
    "precision": "fp32",
    "rows": 3080,
    "a": {
        "version": "intent/3",
        "evaluation": "eval_2",
        "bytes": 91_500_000,
        "latency": {
            "device": "cpu",
            "threads": 2,
            "single": {"p50_ms": 4.0, "p95_ms": 6.0},
            "eight": {"p50_ms": 20.0, "p95_ms": 30.0},
        },
    },
    "b": {"version": "intent/2", "evaluation": "eval_1", "bytes": 90_000_000, "latency": None},
    "metrics": {
        "accuracy": {"a": 0.926, "b": 0.913, "difference": 0.013, "low": 0.004, "high": 0.022}
    },
    "tests": [{"metric": "macro_f1", "p_value": 0.01, "threshold": 0.02, "worse": True}],
    "changed": {"fixed": 71, "broken": 31, "p_value": 0.0001},
    "labels": [
        {
            "label": "card_arrival",
            "support": 40,
            "a": 0.9,
            "b": None,
            "fixed": 1,
            "broken": 5,
            "p_value": 0.22,
            "corrected": 1.0,
            "worse": False,
        }
    ],
    "fixed": [],
    "broken": [
        {
            "row": 12,
            "line": 118,
            "text": "where is it?",
            "text_pair": None,
            "label": "card_arrival",
            "a": "lost_or_stolen_card",
            "b": "card_arrival",
        }
    ],
}
VERSION: JSON = {
    "version": "intent/3",
    "model": "intent",
    "number": 3,
    "task": "text_classification",
    "labels": ["bad", "good"],
    "base_model": "minilm-l6",
    "dataset": "ds_1",
    "dataset_fingerprint": "sha256:9f86",
    "job": "job_1",
    "checkpoint": "ckpt_1",
    "manifest_sha256": "9f86",
    "bytes": 180,
    "parity": None,
    "seal": "none",
    "created_at": AT,
}
MODEL: JSON = {"name": "intent", "versions": 3, "latest": VERSION}
RECIPE: JSON = {
    "name": "few_shot",
    "description": "For few rows a class.",
    "rules": [{"hyperparameter": "epochs", "rule": "20", "source": "arXiv:2006.04884"}],
}
BASE_MODEL: JSON = {
    "id": "minilm-l6",
    "description": "small",
    "source": "package",
    "available": True,
}
DEPLOYMENT: JSON = {
    "name": "intent",
    "status": "ready",
    "desired": {"version": "intent/3", "generation": 4},
    "actual": {
        "version": "intent/3",
        "runtime": "torch",
        "precision": "fp32",
        "replicas": 1,
        "memory_bytes": 220_000_000,
        "generation": 4,
    },
    "parity": None,
    "load_ms": 310.0,
    "error": None,
    "history": [{"at": AT, "generation": 4, "version": "intent/3", "outcome": "ready"}],
    "updated_at": AT,
}
DEVICE: JSON = {
    "device": "cpu",
    "budget_bytes": 16_000_000_000,
    "used_bytes": 300_000_000,
    "occupants": [
        {
            "name": "intent",
            "version": "intent/3",
            "replicas": 1,
            "memory_bytes": 220_000_000,
            "pinned": True,
        }
    ],
}
API_KEY: JSON = {
    "id": "8a4TQz0c",
    "name": "ci",
    "scope": "predict",
    "created_at": AT,
    "expires_at": None,
    "last_used_at": None,
}
NEW_KEY: JSON = {**API_KEY, "secret": "tnr_8a4TQz0c_shown-once"}
PROBLEM_PAGE: JSON = {
    "code": "unknown-field",
    "status": 422,
    "title": "Unknown field",
    "hint": "See the detail.",
    "explanation": "A field of …",
}
LIVE: JSON = {"status": "live", "version": "0.1.0", "time": AT}
READY: JSON = {"status": "ready", "deployments": {"intent": "ready"}}
NO_EVENTS: JSON = {"data": [], "has_more": False, "last_seq": 0}


def page(*items: JSON, last_id: str | None = None, has_more: bool = False) -> JSON:
    """Return a page of a list."""
    return {"data": list(items), "has_more": has_more, "last_id": last_id}


def event(seq: int, kind: str = "metric", **data: Any) -> JSON:
    """Return an event of a job."""
    return {"seq": seq, "at": AT, "job": "job_1", "type": kind, "data": data}


def problem(code: str, status: int, **fields: Any) -> JSON:
    """Return the body of a refusal."""
    return {
        "type": f"/problems/{code}",
        "title": "What it is",
        "status": status,
        "detail": "what was wrong this time",
        "instance": "req_1",
        "code": code,
        "hint": "What to do.",
        **fields,
    }


def refused(code: str, status: int, **headers: str) -> httpx.Response:
    """Return a refusal; `retry_after="3"` is the header Retry-After."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=problem(code, status), headers=sent)


def predicted(request: httpx.Request) -> httpx.Response:
    """Answer a prediction: each label is the text that it was asked for."""
    texts = httpx.Response(200, content=request.content).json()["inputs"]
    answers = [
        {"label": text, "score": 0.9, "scores": [], "tokens": 3, "truncated": False}
        for text in texts
    ]
    found = {
        "model": "intent",
        "version": "intent/3",
        "request_id": "req_1",
        "predictions": answers,
    }
    return httpx.Response(200, json=found)


def client_of(handler: Handler, **options: Any) -> Client:
    """Return a client of a service that answers as `handler` does."""
    transport = httpx.MockTransport(handler)
    return Client(URL, **{"api_key": KEY, "language": "en", "transport": transport, **options})


def async_client_of(handler: Handler, **options: Any) -> AsyncClient:
    """Return an asynchronous client of a service that answers as `handler` does."""
    transport = httpx.MockTransport(handler)
    return AsyncClient(URL, **{"api_key": KEY, "language": "en", "transport": transport, **options})


class Script:
    """A service that answers the same request after another with what stands in its script."""

    def __init__(self, *answers: httpx.Response | Exception | Handler) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Give the next answer; the last one again where the script has ended."""
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):  # a copy: an answer is read and closed once
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=answer.content
            )
        return answer(request)
