"""`GET /metrics` of a real service: its sums are what was sent, whoever has answered."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from tests.e2e import service as e2e
from tests.e2e.scrape import page_when, scrape

from tunery_server.figures import WORKERS, WorkerFigures, read

TEXTS = ["I want my money back", "where is it"]


@pytest.fixture(scope="module")
def metered(
    service: e2e.Service, versions: list[dict], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[e2e.Service]:
    """Return a service of two workers of its own, that nobody has asked yet."""
    copy = e2e.copied(service, tmp_path_factory.mktemp("metered") / "d")
    with e2e.running(copy, workers=2) as running:
        yield running


@pytest.fixture
def admin(metered: e2e.Service) -> Iterator[httpx.Client]:
    with metered.client() as client:
        yield client


def ask(service: e2e.Service, requests: int, **body: object) -> list[httpx.Response]:
    """Send so many requests, each on a connection of its own: any worker may take it."""
    answers = []
    for _ in range(requests):
        with service.client() as client:
            asked = {"model": "intent", "inputs": TEXTS, **body}
            answers.append(client.post("/predict", json=asked))
    return answers


def counted_by_each_worker(service: e2e.Service) -> list[int]:
    """Return how many predictions each worker has counted itself."""

    async def body() -> list[WorkerFigures]:
        paths = sorted((service.data_dir / "run").glob(WORKERS))
        return [await read(path, WorkerFigures, timeout_seconds=5) for path in paths]

    found = asyncio.run(body())
    return [sum(each.count for each in worker.predictions.values()) for worker in found]


def test_sums_are_what_was_sent_over_two_workers_and_a_swap(
    metered: e2e.Service, admin: httpx.Client, versions: list[dict]
) -> None:
    first, second = (job["result"]["version"] for job in versions)
    e2e.deployed(admin, "intent", first)
    answers = ask(metered, 20)
    while min(counted_by_each_worker(metered)) == 0:
        answers += ask(metered, 10)
    e2e.deployed(admin, "intent", second)
    answers += ask(metered, 10)
    refused = ask(metered, 3, top_k=900)
    unknown = ask(metered, 2, model="nobody")

    e2e.wait_until(lambda: len(metered.processes("engine")) == 1, "the old engine has ended")
    page = scrape(admin)

    assert {answer.status_code for answer in answers} == {200}
    assert [answer.status_code for answer in refused + unknown] == [422] * 3 + [404] * 2
    sent = len(answers)
    count = "tunery_predict_seconds_count"
    assert page.sum(count, deployment="intent", code="ok") == sent
    assert page.sum(count, deployment="intent", code="out-of-range") == 3
    assert page.sum(count, deployment="", code="model-not-found") == 2
    assert page.sum(count) == sum(counted_by_each_worker(metered)) == sent + 5
    tokens = [each["tokens"] for answer in answers for each in answer.json()["predictions"]]
    for family in ("tunery_texts_total", "tunery_batch_texts_sum"):
        assert page.sum(family, deployment="intent") == 2 * sent
    for family in ("tunery_tokens_total", "tunery_batch_tokens_sum"):
        assert page.sum(family, deployment="intent") == sum(tokens)
    for stage in ("tokenise", "queue", "forward"):
        assert page.sum("tunery_engine_seconds_count", stage=stage) == sent
    assert page.sum("tunery_swap_seconds_count", deployment="intent", outcome="ready") == 2
    info = {"deployment": "intent", "version": second}
    assert page.sum("tunery_deployment_info", **info) == 1


def test_what_the_machine_holds_is_shown(admin: httpx.Client) -> None:
    page = scrape(admin)

    megabytes = 1 << 20
    assert len(page.values("tunery_worker_resident_bytes")) == 2
    for family in ("worker", "supervisor", "engine"):
        assert all(size > 20 * megabytes for size in page.values(f"tunery_{family}_resident_bytes"))
    assert page.values("tunery_queue_tokens", deployment="intent", engine="0") == [0]
    assert page.values("tunery_slot_busy", device="cpu") == [0]
    assert page.sum("tunery_jobs", kind="finetune", status="succeeded") >= 2
    assert page.sum("tunery_artifact_bytes", kind="versions") > 2 * 40 * megabytes
    assert page.sum("tunery_artifact_bytes", kind="datasets") > 0
    assert page.sum("tunery_disk_free_bytes") > 0


def test_metrics_are_answered_while_a_model_loads(
    admin: httpx.Client, versions: list[dict]
) -> None:
    admin.put("/deployments/later", json={"version": versions[0]["result"]["version"]})
    pages = [scrape(admin)]
    loaded = {"deployment": "later", "status": "ready"}
    e2e.wait_until(
        page_when(admin, lambda page: page.sum("tunery_deployment_status", **loaded) == 1),
        "the deployment is ready",
    )
    pages.append(scrape(admin))

    loading = {**loaded, "status": "loading"}
    assert [page.sum("tunery_deployment_status", **loading) for page in pages] == [1, 0]
    assert pages[1].sum("tunery_swap_seconds_count", deployment="later") == 1
    assert len(pages[1].values("tunery_engine_resident_bytes")) == 2


def test_counts_outlive_a_worker_and_an_engine_that_are_killed(
    metered: e2e.Service, admin: httpx.Client
) -> None:
    before = scrape(admin)
    worker, *_ = metered.processes("api")
    engine = next(row for row in metered.processes("engine") if row[2] == "default/intent")
    for pid, _, _ in (worker, engine):
        e2e.kill_process(pid)

    def replaced() -> bool:
        pids = {row[0] for row in metered.processes("api") + metered.processes("engine")}
        return len(pids) == 4 and not pids & {worker[0], engine[0]}

    e2e.wait_until(replaced, "both are replaced", metered.log)
    e2e.wait_until(lambda: ask(metered, 1)[0].status_code == 200, "it answers", metered.log)
    with metered.client() as client:
        after = scrape(client)

    labels = {"deployment": "intent", "code": "ok"}
    counts = [page.sum("tunery_predict_seconds_count", **labels) for page in (before, after)]
    assert counts[1] == counts[0] + 1
    texts = [page.sum("tunery_texts_total", deployment="intent") for page in (before, after)]
    assert texts[1] == texts[0] + 2
    assert after.sum("tunery_engine_deaths_total", deployment="intent") == 1
