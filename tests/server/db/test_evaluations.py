"""Evaluations in the order of a metric, on both databases."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.client.answers import EVALUATION

from tunery.types import Evaluation
from tunery_server.db.engine import Database
from tunery_server.db.queries import evaluations
from tunery_server.db.queries.evaluations import Wanted

STORED = (
    ("eval_1", {"accuracy": {"value": 0.9}}),
    ("eval_2", {"accuracy": {"value": 0.1 + 0.2}}),
    ("eval_3", {"accuracy": {"value": None, "reason": "no row has a label"}}),
    ("eval_4", {"loss": {"value": 0.5}}),
    ("eval_5", {"accuracy": {"value": 0.9}}),
    ("eval_6", {"accuracy": {"value": 1.0}}),
)


async def store(database: Database, stored: Any = STORED) -> None:
    async with database.write() as connection:
        for evaluation_id, metrics in stored:
            fields = {"id": evaluation_id, "job": f"job_of_{evaluation_id}", "metrics": metrics}
            await evaluations.add(
                connection,
                "default",
                msgspec.convert(EVALUATION | fields, Evaluation),
                artifact=evaluation_id,
                manifest_sha256="0" * 64,
            )


async def ranked(database: Database, metric: str, **asked: Any) -> tuple[list[str], bool]:
    options = {"falling": True, "limit": 10, "after": None} | asked
    async with database.read() as connection:
        page = await evaluations.ranked_page(connection, "default", Wanted(), metric, **options)
    return [each.id for each in page.data], page.has_more


@pytest.mark.parametrize(
    ("falling", "order"),
    [
        (True, ["eval_6", "eval_5", "eval_1", "eval_2"]),
        (False, ["eval_2", "eval_5", "eval_1", "eval_6"]),
    ],
)
def test_the_order_is_the_same_in_pages_as_in_one(
    run: Callable, falling: bool, order: list[str]
) -> None:
    async def body(database: Database) -> list[Any]:
        await store(database)
        whole, _ = await ranked(database, "accuracy", falling=falling)
        last, found, more = None, [], True
        while more:
            ids, more = await ranked(database, "accuracy", falling=falling, limit=1, after=last)
            found += ids
            last = ids[-1]
        return [whole, found]

    assert run(body) == [order, order]


def test_after_what_has_no_such_figure_nothing_comes(run: Callable) -> None:
    async def body(database: Database) -> list[Any]:
        await store(database)
        return [await ranked(database, "accuracy", after="eval_4"), await ranked(database, "mae")]

    assert run(body) == [([], False), ([], False)]


def test_a_figure_of_a_label_orders_whatever_its_name_holds(run: Callable) -> None:
    metric = 'recall@a "quoted".label\'s $[0]'

    async def body(database: Database) -> tuple[list[str], bool]:
        values = {"eval_7": 0.5, "eval_8": 0.7}
        await store(database, [(name, {metric: {"value": values[name]}}) for name in values])
        return await ranked(database, metric)

    assert run(body) == (["eval_8", "eval_7"], False)
