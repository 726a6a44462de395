"""What a user writes, with the types that it must have. Checked, never run."""

from collections.abc import Iterator, Sequence
from typing import assert_type

import tunery
from tunery import AsyncClient, AsyncJob, Client, Job, Tuned
from tunery.types import (
    BaseModel,
    Dataset,
    Deployment,
    Evaluation,
    Event,
    File,
    LogText,
    ModelVersion,
    NewKey,
    Prediction,
    Report,
)


def blocking() -> None:
    with Client("http://127.0.0.1:8000", timeout=5.0) as client:
        assert_type(client, Client)
        assert_type(client.with_options(timeout=0), Client)
        assert_type(client.files.upload(b"text,label\n", name="a.csv"), File)
        dataset = assert_type(client.datasets.create("reviews.csv"), Dataset)
        assert_type(client.datasets.report(dataset), Report)
        assert_type([each.id for each in client.datasets.list()], list[str])
        job = assert_type(
            client.finetune(
                dataset, model="intent", hyperparameters=tunery.Hyperparameters(epochs=2)
            ),
            Job,
        )
        assert_type(job.wait(progress=True), Job)
        assert_type(job.events(), Iterator[Event])
        assert_type(client.jobs.logs(job), LogText)
        assert_type(client.evaluations.of(job), Evaluation)
        assert_type(client.models.version("intent/3"), ModelVersion)
        assert_type(client.models.base_models(), Sequence[BaseModel])
        assert_type(client.deployments.deploy("intent", "intent/3"), Deployment)
        assert_type(client.predict("intent", "hi"), Prediction)
        assert_type(client.predict("intent", ["hi", "there"]), list[Prediction])
        assert_type(client.keys.create("ci", scope="train"), NewKey)
        assert_type(client.tune("reviews.csv", model="intent"), Tuned)


async def awaiting() -> None:
    async with AsyncClient() as client:
        assert_type(await client.files.upload(b"text,label\n", name="a.csv"), File)
        dataset = assert_type(await client.datasets.create("reviews.csv"), Dataset)
        assert_type([each.id async for each in client.datasets.list()], list[str])
        job = assert_type(await client.finetune(dataset, model="intent"), AsyncJob)
        assert_type(await job.wait(), AsyncJob)
        assert_type([each async for each in job.events()], list[Event])
        assert_type(await client.evaluations.of(job), Evaluation)
        assert_type(await client.models.version("intent/3"), ModelVersion)
        assert_type(await client.deployments.rollback("intent"), Deployment)
        assert_type(await client.predict("intent", "hi"), Prediction)
        assert_type(await client.predict("intent", ["hi"]), list[Prediction])
        assert_type(await client.keys.create("ci"), NewKey)
        assert_type(await client.tune("reviews.csv", model="intent"), Tuned)
