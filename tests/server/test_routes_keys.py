"""Keys: made, listed, removed, used and out of date."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.server.conftest import Api

from tunery_server.db.columns import now
from tunery_server.db.engine import Database
from tunery_server.keys import NEWS, Keys, parse
from tunery_server.news import News

SPEC = {"name": "ci", "scope": "train"}


def status_with(api: Api, secret: str) -> int:
    return api.get("/jobs", headers={"Authorization": f"Bearer {secret}"}).status_code


def id_of(secret: str) -> str:
    return parse(secret.encode()) or ""


def listed(api: Api, key_id: str) -> Any:
    api.run(api.services.keys.close())  # what was used is written down
    return next(key for key in api.get("/keys").json()["data"] if key["id"] == key_id)


def test_new_key_shows_its_secret_once_and_works_at_once(api: Api) -> None:
    status_with(api, api.key)

    answer = api.post("/keys", SPEC)

    key = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/keys/{key['id']}"
    assert (id_of(key["secret"]), key["name"], key["scope"]) == (key["id"], "ci", "train")
    assert (key["expires_at"], key["last_used_at"]) == (None, None)
    assert status_with(api, key["secret"]) == 200
    assert "secret" not in listed(api, key["id"])


def test_secret_is_stored_nowhere(api: Api) -> None:
    secret = api.post("/keys", SPEC, headers={"Idempotency-Key": "k"}).json()["secret"]

    stored = b"".join(path.read_bytes() for path in api.services.settings.root.glob("tunery.db*"))

    assert id_of(secret).encode() in stored
    assert secret.split("_")[2].encode() not in stored


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"scope": "root"}, "schema-violation", "/scope"),
        ({"name": "a\nb"}, "invalid-name", "/name"),
        ({"name": ""}, "invalid-name", "/name"),
        ({"expires_in_days": 0}, "out-of-range", "/expires_in_days"),
        ({"expires_in_days": 3651}, "out-of-range", "/expires_in_days"),
        ({"expires_at": "2026-11-23T00:00:00Z"}, "unknown-field", "/expires_at"),
        ({"project": "other"}, "unknown-field", "/project"),
        ({"secret": "tnr_x"}, "unknown-field", "/secret"),
    ],
)
def test_bad_key_is_not_made(
    calm_api: Api, fields: dict[str, Any], code: str, pointer: str
) -> None:
    answer = calm_api.post("/keys", {**SPEC, **fields})

    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_admins_see_and_make_keys(calm_api: Api, method: str) -> None:
    answer = calm_api.request(method, "/keys", headers=calm_api.headers("train"))

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient-scope")


def test_keys_are_listed_newest_first_page_by_page(api: Api) -> None:
    made = [api.post("/keys", SPEC).json()["id"] for _ in range(3)]

    first = api.get("/keys?limit=2").json()
    second = api.get(f"/keys?limit=2&after={first['last_id']}").json()

    ids = [key["id"] for key in first["data"] + second["data"]]
    assert ids == [*reversed(made), id_of(api.key)]
    assert (first["has_more"], second["has_more"]) == (True, False)


@pytest.mark.parametrize("after", ["x", "00000000", "%00", "ééééèèèè"])
def test_page_after_no_key_is_refused(calm_api: Api, after: str) -> None:
    answer = calm_api.get(f"/keys?after={after}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-pagination")


def test_lost_answer_is_replayed_with_the_same_id_and_another_secret(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    lost = api.post("/keys", SPEC, headers=headers)

    again = api.post("/keys", SPEC, headers=headers)

    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == lost.headers["location"]
    assert again.json() == {**lost.json(), "secret": again.json()["secret"]}
    assert status_with(api, again.json()["secret"]) == 200
    assert status_with(api, lost.json()["secret"]) == 401
    assert len(api.get("/keys").json()["data"]) == 2


def test_replay_does_not_bring_a_removed_key_back(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    key_id = api.post("/keys", SPEC, headers=headers).json()["id"]
    api.delete(f"/keys/{key_id}")

    again = api.post("/keys", SPEC, headers=headers)

    assert (again.status_code, again.json()["code"]) == (404, "key-not-found")


def test_removed_key_is_refused_at_once(api: Api) -> None:
    key = api.post("/keys", SPEC).json()
    status_with(api, key["secret"])

    answer = api.delete(f"/keys/{key['id']}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert status_with(api, key["secret"]) == 401
    assert api.delete(f"/keys/{key['id']}").json()["code"] == "key-not-found"


class LateDatabase(Database):
    """A database whose reads end when they are let."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.has_read, self.may_end = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        async with super().read() as connection:
            yield connection
        self.has_read.set()
        await self.may_end.wait()


def test_read_that_was_under_way_when_a_key_was_removed_is_not_trusted(api: Api) -> None:
    secret = api.add_key("train")

    async def body() -> bool:
        database = LateDatabase(api.services.settings.database)
        keys = Keys(database, api.services.news)
        under_way = asyncio.create_task(keys.find(secret.encode()))
        await database.has_read.wait()
        await api.send("DELETE", f"/keys/{id_of(secret)}")
        database.may_end.set()
        await under_way
        found = await keys.find(secret.encode())
        await keys.close()
        await database.close()
        return found is not None

    assert api.run(body()) is False


def test_other_worker_hears_of_a_removed_key(api: Api) -> None:
    secret = api.add_key("train")

    async def body() -> tuple[bool, bool]:
        news = News(api.services.settings.run_dir)
        news._path = api.services.settings.run_dir / "api-0.sock"  # as if of another process
        news.open()
        other = Keys(api.services.database, news)
        known = await other.find(secret.encode()) is not None
        heard = asyncio.Event()
        news.on_news(lambda key: heard.set() if key == NEWS else None)
        await api.send("DELETE", f"/keys/{id_of(secret)}")
        async with asyncio.timeout(5):
            await heard.wait()
        still = await other.find(secret.encode()) is not None
        await other.close()
        news.close()
        return known, still

    assert api.run(body()) == (True, False)


@pytest.mark.parametrize("key_id", ["x", "00000000", "%00%00%00%00%00%00%00%00", "..%2fkeys"])
def test_unknown_key_is_not_removed(calm_api: Api, key_id: str) -> None:
    answer = calm_api.delete(f"/keys/{key_id}")

    assert answer.status_code == 404


def test_other_projects_keys_are_unknown(api: Api) -> None:
    stranger = api.headers("admin", project="other")

    removed = api.delete(f"/keys/{id_of(api.key)}", headers={**stranger})
    after = api.get(f"/keys?after={id_of(api.key)}", headers={**stranger})
    page = api.get("/keys", headers={**stranger}).json()

    assert (removed.status_code, removed.json()["code"]) == (404, "key-not-found")
    assert (after.status_code, after.json()["code"]) == (422, "invalid-pagination")
    assert [key["id"] for key in page["data"]] == [id_of(stranger["Authorization"][7:])]


def test_last_admin_key_is_not_removed(api: Api) -> None:
    api.add_key("train")
    api.add_key("admin", project="other")
    api.add_key("admin", expires_at=now() - timedelta(seconds=1))
    path = f"/keys/{id_of(api.key)}"

    refused = api.delete(path)
    api.add_key("admin")
    removed = api.delete(path)

    assert (refused.status_code, refused.json()["code"]) == (409, "last-admin-key")
    assert removed.status_code == 204


def test_admin_key_is_not_removed_for_one_that_expires_sooner(api: Api) -> None:
    sooner = api.add_key("admin", expires_at=now() + timedelta(days=1))

    refused = api.delete(f"/keys/{id_of(api.key)}")
    removed = api.delete(f"/keys/{id_of(sooner)}")

    assert (refused.status_code, refused.json()["code"]) == (409, "last-admin-key")
    assert removed.status_code == 204


def test_expired_key_is_answered_like_an_unknown_one(api: Api) -> None:
    expired = api.add_key("admin", expires_at=now() - timedelta(seconds=1))
    unknown = f"Bearer {api.post('/keys', SPEC).json()['secret']}"
    api.delete(f"/keys/{id_of(unknown[7:])}")

    answers = [
        api.get("/jobs", headers={"Authorization": credential, "X-Request-Id": "same"})
        for credential in (f"Bearer {expired}", unknown)
    ]

    assert answers[0].json()["code"] == "invalid-credentials"
    assert answers[0].content == answers[1].content
    assert listed(api, id_of(expired))["last_used_at"] is None


def test_key_expires_after_its_days(api: Api) -> None:
    key = api.post("/keys", {**SPEC, "expires_in_days": 90}).json()

    made_at, expires_at = map(datetime.fromisoformat, (key["created_at"], key["expires_at"]))
    assert expires_at - made_at == timedelta(days=90)
    assert status_with(api, key["secret"]) == 200


def test_use_of_a_key_is_written_down_once_a_minute(api: Api) -> None:
    secret = api.add_key("train")
    before = listed(api, id_of(secret))["last_used_at"]

    status_with(api, secret)
    first = listed(api, id_of(secret))["last_used_at"]
    status_with(api, secret)
    second = listed(api, id_of(secret))["last_used_at"]

    assert before is None
    assert first is not None
    assert second == first


def test_request_does_not_wait_until_its_key_is_written_down(api: Api) -> None:
    secret = api.add_key("train")

    async def body() -> Any:
        async with api.services.database.write():  # nobody else can write now
            headers = {"Authorization": f"Bearer {secret}"}
            async with asyncio.timeout(5):
                return await api.send("GET", "/jobs", headers=headers)

    assert api.run(body()).status_code == 200
    assert listed(api, id_of(secret))["last_used_at"] is not None


def test_request_is_answered_where_its_key_can_not_be_written_down(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    secret = api.add_key("train")

    async def forbid() -> None:
        async with api.services.database.write() as connection:
            await connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE UPDATE ON keys BEGIN SELECT RAISE(ABORT, 'full'); END"
            )

    api.run(forbid())

    assert status_with(api, secret) == 200
    assert listed(api, id_of(secret))["last_used_at"] is None
    assert f"the use of key {id_of(secret)} could not be written down" in caplog.text
    assert secret not in caplog.text
