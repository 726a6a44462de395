"""The bad-input catalogue, as far as the API itself answers it. Numbers are its rows."""

import msgspec
import pytest
from tests.server.conftest import Api

DEEP = b"[" * 100_000
UNPAIRED = rb'"\ud800"'


def spec(**hyperparameters: object) -> bytes:
    return finetune(hyperparameters=hyperparameters)


def finetune(**fields: object) -> bytes:
    return msgspec.json.encode({"dataset": "ds_x", "model": "m", "base_model": "tiny", **fields})


def raw(member: bytes) -> bytes:
    return b'{"dataset":"ds_x","model":"m","base_model":"tiny",%b}' % member


BODIES = [
    ("1 truncated", b'{"a":', 400, "malformed-json", None),
    ("2 trailing", finetune() + b" x", 400, "malformed-json", None),
    ("3 empty", b"", 400, "empty-body", None),
    ("4 null", b"null", 422, "schema-violation", ""),
    ("4 array", b"[]", 422, "schema-violation", ""),
    ("4 string", b'"x"', 422, "schema-violation", ""),
    ("5 byte in a known field", b'{"dataset":"\xff"}', 400, "invalid-utf8", None),
    ("5 byte in an unknown field", b'{"zz":"\xff"}', 400, "invalid-utf8", None),
    ("6 deep, unclosed", DEEP, 400, "json-too-deep", None),
    ("6 deep, closed", DEEP + b"]" * 100_000, 400, "json-too-deep", None),
    ("6 deep in a known field", raw(b'"metadata":' + DEEP), 400, "json-too-deep", None),
    ("7 deep in an unknown field", raw(b'"zz":' + DEEP), 400, "json-too-deep", None),
    ("8 lone surrogate", raw(b'"metadata":{"a":' + UNPAIRED + b"}"), 400, "invalid-unicode", None),
    ("8 lone surrogate, unknown", raw(b'"zz":' + UNPAIRED), 400, "invalid-unicode", None),
    ("8 lone surrogate, then text", raw(rb'"zz":"\ud800abcdefgh"'), 400, "invalid-unicode", None),
    ("9 UTF-16", "{}".encode("utf-16"), 400, "malformed-json", None),
    ("9 BOM", b"\xef\xbb\xbf{}", 400, "malformed-json", None),
    ("10 NaN", raw(b'"hyperparameters":{"warmup":NaN}'), 400, "malformed-json", None),
    ("10 Infinity", raw(b'"hyperparameters":{"warmup":Infinity}'), 400, "malformed-json", None),
    (
        "10 too large for a float",
        raw(b'"hyperparameters":{"warmup":1e999}'),
        400,
        "malformed-json",
        None,
    ),
    ("11 10^400", raw(b'"priority":1' + b"0" * 400), 422, "out-of-range", "/priority"),
    ("11 2^63", raw(b'"priority":9223372036854775808'), 422, "out-of-range", "/priority"),
    ("11 -2^63-1", raw(b'"priority":-9223372036854775809'), 422, "out-of-range", "/priority"),
    ("12 typo", spec(learning_rte=1), 422, "unknown-field", "/hyperparameters/learning_rte"),
    ("13 id", finetune(id="job_1"), 422, "unknown-field", "/id"),
    ("13 project", finetune(project="other"), 422, "unknown-field", "/project"),
    ("13 state", finetune(state="succeeded"), 422, "unknown-field", "/state"),
    ("13 created_at", finetune(created_at="now"), 422, "unknown-field", "/created_at"),
    ("14 text for a number", finetune(priority="3"), 422, "schema-violation", "/priority"),
    ("14 truth for a number", finetune(priority=True), 422, "schema-violation", "/priority"),
    ("14 number for a text", finetune(model=3), 422, "schema-violation", "/model"),
    ("125 lr 0", spec(learning_rate=0.0), 422, "out-of-range", "/hyperparameters/learning_rate"),
    ("125 lr -1", spec(learning_rate=-1.0), 422, "out-of-range", "/hyperparameters/learning_rate"),
    ("125 lr -0", spec(learning_rate=-0.0), 422, "out-of-range", "/hyperparameters/learning_rate"),
    ("125 lr > 1", spec(learning_rate=1.1), 422, "out-of-range", "/hyperparameters/learning_rate"),
    ("126 epochs 0", spec(epochs=0), 422, "out-of-range", "/hyperparameters/epochs"),
    ("126 epochs -1", spec(epochs=-1), 422, "out-of-range", "/hyperparameters/epochs"),
    ("126 epochs 10^9", spec(epochs=10**9), 422, "out-of-range", "/hyperparameters/epochs"),
    ("126 epochs 1.5", spec(epochs=1.5), 422, "schema-violation", "/hyperparameters/epochs"),
    ("127 batch 0", spec(batch_size=0), 422, "out-of-range", "/hyperparameters/batch_size"),
    (
        "128 weight decay",
        spec(weight_decay=-0.1),
        422,
        "out-of-range",
        "/hyperparameters/weight_decay",
    ),
    ("128 dropout", spec(dropout=1.5), 422, "out-of-range", "/hyperparameters/dropout"),
    ("128 warm-up", spec(warmup=-0.1), 422, "out-of-range", "/hyperparameters/warmup"),
    (
        "128 accumulation",
        spec(gradient_accumulation_steps=0),
        422,
        "out-of-range",
        "/hyperparameters/gradient_accumulation_steps",
    ),
    ("128 seed", spec(seed=-1), 422, "out-of-range", "/hyperparameters/seed"),
    ("129 base model", finetune(base_model="gpt-9"), 422, "unknown-base-model", "/base_model"),
    *(
        (f"130 {path!r}", finetune(base_model=path), 422, "unknown-base-model", "/base_model")
        for path in ("../../etc", "/etc/passwd", "hf://x", "C:\\x", "a%2e%2e", "\0", "https://a.b")
    ),
    *(
        (f"131-132 {name}", finetune(**{name: "x"}), 422, "unknown-field", f"/{name}")
        for name in (
            "trust_remote_code",
            "output_dir",
            "resume_from_checkpoint",
            "deepspeed",
            "report_to",
            "push_to_hub",
            "hub_token",
            "optim_args",
            "torch_compile_backend",
        )
    ),
    (
        "133 max_length",
        spec(max_length=129),
        422,
        "max-length-exceeds-model",
        "/hyperparameters/max_length",
    ),
    ("134 max_length", spec(max_length=2), 422, "out-of-range", "/hyperparameters/max_length"),
    ("135 dataset", finetune(), 404, "dataset-not-found", None),
    (
        "138 fp16",
        spec(precision="fp16"),
        422,
        "unsupported-precision",
        "/hyperparameters/precision",
    ),
    ("138 devices", finetune(resources={"devices": 99}), 422, "out-of-range", "/resources/devices"),
    ("missing", b'{"dataset":"ds_x"}', 422, "missing-required-field", "/model"),
    ("name", finetune(model="A B"), 422, "invalid-name", "/model"),
    ("control characters", raw(rb'"a\u0000\n":1'), 422, "unknown-field", r"/a\x00\n"),
]


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"), [row[1:] for row in BODIES], ids=[r[0] for r in BODIES]
)
def test_bad_body_is_refused_with_its_code(
    calm_api: Api, body: bytes, status: int, code: str, pointer: str | None
) -> None:
    answer = calm_api.post("/finetune", body)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"/problems/{code}"
    assert problem["instance"] == answer.headers["x-request-id"]
    assert problem["detail"].isprintable()
    assert [error.get("pointer") for error in problem["errors"]] == (
        [] if pointer is None else [pointer]
    )
    assert calm_api.get("/jobs").json()["data"] == []


def test_name_of_a_model_is_refused_with_the_rule_for_models(calm_api: Api) -> None:
    answer = calm_api.post("/finetune", finetune(model="My Model"))

    assert "1 to 64 lower-case letters" in answer.json()["detail"]


def test_malformed_json_names_the_byte(calm_api: Api) -> None:
    answer = calm_api.post("/finetune", b'{"model": x}')

    assert "byte 10" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("num_train_epochs", "epochs"),
        ("per_device_train_batch_size", "batch_size"),
        ("lr", "learning_rate"),
        ("warmup_steps", "warmup"),
        ("max_seq_length", "max_length"),
        ("learning_rte", "learning_rate"),
    ],
)
def test_unknown_hyperparameter_is_answered_with_the_name_here(
    calm_api: Api, theirs: str, ours: str
) -> None:
    answer = calm_api.post("/finetune", spec(**{theirs: 1}))

    assert answer.json()["detail"].endswith(f"did you mean {ours}?")


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_json_under_another_media_type_is_refused(calm_api: Api, media_type: str) -> None:
    answer = calm_api.post("/finetune", content=finetune(), headers={"Content-Type": media_type})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize("path", ["/finetune", "/files"])
def test_compressed_body_is_refused(calm_api: Api, path: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    answer = calm_api.post(path, content=b"\x1f\x8b", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-content-encoding")


def test_last_of_two_equal_keys_wins(calm_api: Api) -> None:
    answer = calm_api.post("/finetune", raw(b'"priority":"x","priority":3'))

    assert answer.json()["code"] == "schema-violation"  # every one is checked
    again = calm_api.post("/finetune", raw(b'"model":"a b","model":"ok"'))
    assert again.json()["code"] == "invalid-name"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/jobs/1",
        "/jobs/job_'; DROP TABLE jobs",
        "/jobs/😀",
        "/jobs/%00",
        "/datasets/..%2f..%2fetc%2fpasswd",
        "/files/%252e%252e%252f",
        "/evaluations/x",
        "/models/A",
        "/models/m/versions/x",
        "/models/m/versions/99999999999999999999",
        "/models/m/versions/²",
        "/deployments/..",
        "/problems/none",
    ],
)
def test_what_is_not_there_is_404(calm_api: Api, path: str) -> None:
    answer = calm_api.get(path)

    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_wrong_method_is_405_and_says_which_are_right(calm_api: Api) -> None:
    answer = calm_api.delete("/predict")

    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid-pagination"),
        ("limit=101", "invalid-pagination"),
        ("limit=x", "invalid-pagination"),
        ("after=x", "invalid-pagination"),
        ("after=%00", "invalid-pagination"),
        ("status=nope", "schema-violation"),
    ],
)
def test_nonsense_in_a_list_query_is_refused(calm_api: Api, query: str, code: str) -> None:
    answer = calm_api.get(f"/jobs?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


@pytest.mark.parametrize(
    "query", ["dataset=%00", "dataset=%ed%a0%80", "kind=%ff", "dataset=%F0%9F"]
)
def test_strange_bytes_in_a_filter_do_no_harm(calm_api: Api, query: str) -> None:
    answer = calm_api.get(f"/jobs?{query}")

    assert answer.status_code in (200, 422)
