"""Attempts: what is said of a child that has died without a last word."""

import asyncio
import json
import sys
from pathlib import Path

from tests.server.conftest import Api
from tests.server.supervisor.ingests import claimed, made, registered

from tunery.types import PARQUET
from tunery_server.supervisor.child import Child, Nursery
from tunery_server.supervisor.jobs import JobRunner
from tunery_server.supervisor.publish import Publisher
from tunery_server.supervisor.specs import SpecWriter

FAULT = """
import faulthandler, json, os, resource, signal
faulthandler.enable()
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
json.loads("1", parse_int=lambda _: os.kill(os.getpid(), signal.SIGSEGV))
"""


async def start_faulty(_spec: Path, *, owner: str, log: Path, threads: int) -> Child:
    """Start a child that dies of SIGSEGV at once."""
    pipe = asyncio.subprocess.PIPE
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FAULT, stdin=pipe, stdout=pipe, stderr=stderr, process_group=0
        )
    return Child(process, log, 0)


def run_faulty(api: Api) -> None:
    """Run the ingest that waits to its end, which is a SIGSEGV."""
    services = api.services
    runner = JobRunner(
        services.settings,
        services.database,
        Nursery(services.database, {}),
        SpecWriter(services.settings, services.artifacts, services.base_models),
        Publisher(services.database, services.artifacts),
        lambda _changed: None,
    )
    api.run(runner.run(claimed(api), device="cpu", threads=1, start=start_faulty))


def test_parquet_that_kills_its_parser_is_rejected(api: Api) -> None:
    dataset = registered(api, b"PAR1" + bytes(16) + b"PAR1", PARQUET)

    run_faulty(api)

    found = api.get(f"/datasets/{dataset['id']}").json()
    assert (found["status"], found["error"]["code"]) == ("rejected", "unreadable-parquet")
    # Where it stood is told, but not where this machine keeps its packages.
    assert 'File "json/decoder.py", line' in found["error"]["log_tail"]
    assert str(Path(json.__file__).parents[1]) not in found["error"]["log_tail"]


def test_an_ingest_of_a_csv_that_dies_is_tried_again(api: Api) -> None:
    dataset = registered(api)

    run_faulty(api)

    assert api.get(f"/jobs/{dataset['job']}").json()["status"] == "queued"
    assert api.get(f"/datasets/{dataset['id']}").json()["status"] == "validating"


def test_an_ingest_of_rows_that_we_wrote_is_tried_again(api: Api, tmp_path: Path) -> None:
    parent = registered(api, b"PAR1" + bytes(16) + b"PAR1", PARQUET)
    job = claimed(api)
    ingested = made(tmp_path / "work" / "dataset")
    publisher = Publisher(api.services.database, api.services.artifacts)
    api.run(publisher.dataset(job, ingested, tmp_path / "work"))
    transforms = {"transforms": [{"op": "dedupe"}]}
    dataset = api.post(f"/datasets/{parent['id']}/versions", transforms).json()

    run_faulty(api)

    assert api.get(f"/jobs/{dataset['job']}").json()["status"] == "queued"
