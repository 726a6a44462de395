"""Keys, scopes, hosts: who is let in."""

import asyncio
from pathlib import Path

import pytest
from tests.server.conftest import Api

from tunery_server import keys
from tunery_server.db.engine import Database, Unreachable
from tunery_server.db.migrate import upgrade
from tunery_server.keys import ensure_admin_key, new_key, parse
from tunery_server.routes import all_handlers

PUBLIC = {"/health/live", "/health/ready", "/problems/{code:str}"}
ROUTES = sorted(
    (method, path)
    for handler in all_handlers()
    for path in handler.paths
    for method in handler.http_methods
)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_needs_a_key_but_the_public_ones(calm_api: Api, method: str, path: str) -> None:
    answer = calm_api.request(
        method, path.replace("{code:str}", "empty-text").replace(":str", ""), anonymous=True
    )

    if path in PUBLIC:
        assert answer.status_code == 200
    else:
        assert (answer.status_code, answer.json()["code"]) == (401, "missing-credentials")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_route_walk_saw_the_routes() -> None:
    assert {path for _, path in ROUTES} >= {*PUBLIC, "/predict", "/finetune", "/files"}


@pytest.mark.parametrize(
    "credential",
    [
        b"Bearer",
        b"Bearer x",
        b"Bearer tnr_",
        b"Basic dXNlcjpwYXNz",
        "Bearer tnr_é".encode(),
        b"Bearer \xff\xfe",
        b"Bearer " + new_key()[1].encode(),
        b"Bearer " + new_key()[1].encode()[:-1] + b"!",
    ],
    ids=["nothing", "short", "prefix", "basic", "latin", "bytes", "unknown", "checksum"],
)
def test_bad_key_is_refused(calm_api: Api, credential: bytes) -> None:
    answer = calm_api.get("/jobs", headers=[(b"authorization", credential)])

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid-credentials")


def test_two_credentials_are_refused(calm_api: Api) -> None:
    both = [("Authorization", f"Bearer {calm_api.key}"), ("Authorization", "Bearer x")]

    answer = calm_api.get("/jobs", headers=both)

    assert (answer.status_code, answer.json()["code"]) == (400, "ambiguous-credentials")


def test_key_in_the_query_is_no_key(calm_api: Api) -> None:
    answer = calm_api.get(
        f"/jobs?key={calm_api.key}&authorization=Bearer%20{calm_api.key}", anonymous=True
    )

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/finetune", 403),
        ("PUT", "/deployments/x", 403),
        ("POST", "/keys", 403),
        ("POST", "/predict", 415),
    ],
)
def test_predict_key_may_only_predict(calm_api: Api, method: str, path: str, status: int) -> None:
    answer = calm_api.request(method, path, headers=calm_api.headers("predict"), content=b"{}")

    assert answer.status_code == status, answer.text


def test_other_projects_id_answers_like_an_unknown_one(api: Api) -> None:
    job_id = api.add_job()

    stranger = api.get(f"/jobs/{job_id}", headers=api.headers("admin", project="other"))

    assert api.get(f"/jobs/{job_id}").status_code == 200
    assert (stranger.status_code, stranger.json()["code"]) == (404, "job-not-found")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.", 421),
        ("", 421),
        ("localhost:x", 421),
    ],
)
def test_only_hosts_of_the_list_are_answered(calm_api: Api, host: str, status: int) -> None:
    answer = calm_api.get("/health/live", headers={"Host": host}, anonymous=True)

    assert answer.status_code == status


def test_known_keys_stay_while_the_database_can_not_be_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(_: object) -> None:
        raise Unreachable

    body = {"model": "nobody", "inputs": ["x"]}
    before = api.post("/predict", body)
    monkeypatch.setattr(keys, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(keys.key_queries, "all_rows", unreadable)

    during = api.post("/predict", body)
    api.services.keys.forget()  # as when one was removed
    after = api.post("/predict", body)

    assert [answer.status_code for answer in (before, during, after)] == [404, 404, 503]


def test_key_has_a_checksum() -> None:
    key_id, secret = new_key()

    swapped = secret[:20] + ("a" if secret[20] != "a" else "b") + secret[21:]

    assert parse(secret.encode()) == key_id
    assert parse(swapped.encode()) is None


def test_first_start_leaves_a_private_admin_key(tmp_path: Path) -> None:
    async def start() -> None:
        database = Database(f"sqlite+aiosqlite:///{tmp_path / 'tunery.db'}")
        await upgrade(database)
        await ensure_admin_key(database, tmp_path)
        await database.close()

    asyncio.run(start())
    first = (tmp_path / "admin.key").read_text()
    asyncio.run(start())

    assert parse(first.rstrip("\n").encode()) is not None
    assert (tmp_path / "admin.key").read_text() == first
    assert (tmp_path / "admin.key").stat().st_mode & 0o777 == 0o600
