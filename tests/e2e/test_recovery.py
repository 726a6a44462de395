"""What is killed comes back: the supervisor, a trainer, an engine, an API worker."""

import subprocess
import sys
import time

import httpx
from tests.e2e import service as e2e
from tests.e2e.conftest import LONG, QUICK, SAVED


def test_a_killed_supervisor_resumes_its_job_and_its_deployment(fresh: e2e.Service) -> None:
    fresh.start()

    kill_and_come_back(fresh, times=1)


def kill_and_come_back(service: e2e.Service, *, times: int) -> None:
    """Kill the supervisor in mid-training, so often; print what was left and how long it took."""
    with service.client() as client:
        tickets = e2e.dataset(client)
        served = e2e.ended(client, e2e.finetune(client, tickets["id"], hyperparameters=QUICK)["id"])
        version = served["result"]["version"]
        e2e.deployed(client, "intent", version)
        golden = predict(client)
    for _ in range(times):
        with service.client() as client:
            job = e2e.finetune(client, tickets["id"], hyperparameters=LONG, checkpoints=SAVED)
            path = f"/jobs/{job['id']}"
            saved = e2e.wait_until(
                lambda path=path: client.get(f"{path}/checkpoints").json()["data"], "a checkpoint"
            )[0]
        assert service.process is not None
        first_life = e2e.group_of(service.process.pid)

        service.kill()
        time.sleep(3)  # the promise is about this very moment
        left = [pid for pid in first_life if e2e.alive(pid)]
        began = time.monotonic()
        service.start()
        ready = time.monotonic() - began

        with service.client() as client:
            again = e2e.ended(client, job["id"])
            deployment = client.get("/deployments/intent").json()
            events = client.get(f"{path}/events").json()["data"]
            steps = steps_of_attempt(events, 2)
            print(
                f"left alive {len(left)} of {len(first_life)}, ready after {ready:.1f} s, "
                f"attempt {again['attempt']} {again['status']}, first step {steps[0]}"
            )
            assert left == []
            assert (again["status"], again["attempt"]) == ("succeeded", 2), again
            assert steps[0] > saved["step"]
            assert (deployment["status"], deployment["actual"]["version"]) == ("ready", version)
            assert predict(client) == golden


def test_a_killed_trainer_is_retried_from_its_last_checkpoint(
    service: e2e.Service, client: httpx.Client, tickets: dict
) -> None:
    job = e2e.finetune(
        client, tickets["id"], model="killed", hyperparameters=LONG, checkpoints=SAVED
    )
    path = f"/jobs/{job['id']}"
    saved = e2e.wait_until(
        lambda: client.get(f"{path}/checkpoints").json()["data"], "a checkpoint"
    )[0]

    e2e.kill_process(e2e.trainer_of(service))

    again = e2e.ended(client, job["id"])
    assert (again["status"], again["attempt"]) == ("succeeded", 2)
    events = client.get(f"{path}/events").json()["data"]
    assert steps_of_attempt(events, 2)[0] > saved["step"]
    warnings = [event["data"]["code"] for event in events if event["type"] == "warning"]
    assert warnings == ["worker-lost"]


def test_a_killed_engine_is_replaced(
    service: e2e.Service, client: httpx.Client, versions: list[dict]
) -> None:
    e2e.deployed(client, "victim", versions[0]["result"]["version"])
    golden = predict(client, "victim")
    pid = next(p for p, _, owner in service.processes("engine") if owner.endswith("/victim"))

    e2e.kill_process(pid)

    answers = []

    def answered() -> bool:
        answers.append(
            client.post("/predict", json={"model": "victim", "inputs": ["refund please"]})
        )
        return answers[-1].status_code == 200

    e2e.wait_until(answered, "the engine answers again", service.log)
    assert answers[-1].json()["predictions"] == golden
    assert {a.status_code for a in answers} <= {200, 503}
    assert all("Retry-After" in a.headers for a in answers if a.status_code == 503)


def test_a_replica_that_is_killed_is_told_as_missing_until_another_is_there(
    service: e2e.Service, client: httpx.Client, versions: list[dict]
) -> None:
    spec = {"version": versions[0]["result"]["version"], "replicas": 2}
    client.put("/deployments/twins", json=spec)

    def replicas(count: int) -> bool:
        actual = client.get("/deployments/twins").json()["actual"]
        return actual is not None and actual["replicas"] == count

    e2e.wait_until(lambda: replicas(2), "both serve", service.log)
    pid = next(p for p, _, owner in service.processes("engine") if owner.endswith("/twins"))

    e2e.kill_process(pid)

    e2e.wait_until(lambda: replicas(1), "one is missing", service.log)
    assert predict(client, "twins")
    e2e.wait_until(lambda: replicas(2), "both serve again", service.log)
    client.delete("/deployments/twins")


def test_a_killed_api_worker_is_replaced(service: e2e.Service, client: httpx.Client) -> None:
    before = {pid for pid, _, _ in service.processes("api")}

    e2e.kill_process(min(before))

    def replaced() -> bool:
        now = {pid for pid, _, _ in service.processes("api")}
        return len(now) == 2 and min(before) not in now

    e2e.wait_until(replaced, "another worker", service.log)
    e2e.wait_until(service.is_ready, "ready again", service.log)

    def sockets() -> set[str]:
        return {path.name for path in (service.data_dir / "run").glob("api-*.sock")}

    listening = {f"api-{pid}.sock" for pid, _, _ in service.processes("api")}
    e2e.wait_until(lambda: sockets() == listening, "no socket of the dead one", service.log)


def test_sigterm_drains_and_the_job_goes_on_in_the_next_life(fresh: e2e.Service) -> None:
    fresh.start()
    with fresh.client() as client:
        tickets = e2e.dataset(client)
        job = e2e.finetune(client, tickets["id"], hyperparameters=LONG, checkpoints=SAVED)
        path = f"/jobs/{job['id']}"
        e2e.wait_until(lambda: client.get(f"{path}/checkpoints").json()["data"], "a checkpoint")
    assert fresh.process is not None
    first_life = e2e.group_of(fresh.process.pid)

    code = fresh.stop()

    assert code == 0
    assert [pid for pid in first_life if e2e.alive(pid)] == []
    fresh.start()
    with fresh.client() as client:
        again = e2e.ended(client, job["id"])
        assert (again["status"], again["attempt"]) == ("succeeded", 2)


def test_a_second_server_on_the_same_data_is_refused(service: e2e.Service) -> None:
    second = e2e.Service(service.data_dir)
    second.launch()

    assert second.process is not None
    assert second.process.wait(timeout=30) == 78
    assert service.is_ready()


def test_a_public_address_is_refused_until_there_is_a_key(fresh: e2e.Service) -> None:
    public = e2e.Service(fresh.data_dir, host="0.0.0.0")
    public.launch()
    assert public.process is not None

    assert public.process.wait(timeout=30) == 78
    assert "python -m tunery_server key" in public.log()

    subprocess.run(
        [sys.executable, "-m", "tunery_server", "key", "--data-dir", str(fresh.data_dir)],
        check=True,
        capture_output=True,
    )
    public.start()
    try:
        with public.client() as client:
            assert client.get("/jobs").status_code == 200
    finally:
        assert public.stop() == 0


def predict(client: httpx.Client, model: str = "intent") -> list[dict]:
    """Return the answers to one text."""
    answer = client.post("/predict", json={"model": model, "inputs": ["refund please"]})
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def steps_of_attempt(events: list[dict], attempt: int) -> list[int]:
    """Return the steps that an attempt logged."""
    began = next(i for i, event in enumerate(events) if event["data"].get("attempt") == attempt)
    return [event["data"]["step"] for event in events[began:] if event["type"] == "metric"]
