"""Transforms: the next version of a name, made from the rows of a dataset.

What can be judged without its rows is judged here; the ingest that makes the version does the rest.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from litestar import Response, post
from litestar.params import FromPath, JSONBody
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tunery.types import Dataset, FieldError, Split, Transform, VersionSpec
from tunery_server.db.queries import datasets
from tunery_server.idempotency import Created, create
from tunery_server.ids import is_id
from tunery_server.problems import Refusal, quote
from tunery_server.requests import Request
from tunery_server.routes.datasets import to_be_made, unknown


@post("/datasets/{dataset_id:str}/versions", status_code=202, operation_id="transform_dataset")
async def transform(
    request: Request, dataset_id: FromPath[str], data: JSONBody[VersionSpec]
) -> Response[Dataset]:
    """Transform a dataset into the next version of its name; the dataset stays as it is."""
    _refuse(_misshapen(data.transforms))

    async def make(connection: AsyncConnection) -> Created[Dataset]:
        found = is_id(dataset_id, "ds")
        parent = await datasets.row_of(connection, request.project, dataset_id) if found else None
        if parent is None:
            raise unknown(dataset_id)
        if parent.status != "ready":
            raise Refusal("dataset-not-ready", f"{dataset_id} is {parent.status}")
        _refuse(_untrue(data.transforms, parent))
        newest = await datasets.newest(connection, request.project, parent.name_folded)
        assert newest is not None  # the parent, if no other
        return await to_be_made(
            connection,
            request.project,
            {"dataset": dataset_id, **msgspec.to_builtins(data)},
            name=parent.name,
            name_folded=parent.name_folded,
            version=newest.version + 1,
            parent=dataset_id,
            task=parent.task,
            spec=msgspec.structs.replace(
                parent.spec, policies=data.policies or parent.spec.policies
            ),
            transforms=data.transforms,
        )

    return await create(request, Dataset, make)


def _refuse(errors: Iterator[FieldError]) -> None:
    found = list(errors)
    if found:
        first = found[0]
        raise Refusal(first.code, f"{first.pointer}: {first.message}", errors=found)


def _misshapen(transforms: Sequence[Transform]) -> Iterator[FieldError]:
    """Yield what is wrong whatever the dataset holds."""
    for i, each in enumerate(transforms):
        at = f"/transforms/{i}"
        if each.op == "relabel":
            if not each.labels and not each.rows:
                yield _violation(f"{at}/labels", "relabel needs labels, or rows")
            yield from _bad_labels(each, at)
        elif each.labels:
            yield _violation(f"{at}/labels", f"labels are for relabel, not for {each.op}")
        elif each.rows:
            yield _violation(f"{at}/rows", f"rows are for relabel, not for {each.op}")


def _bad_labels(relabel: Transform, at: str) -> Iterator[FieldError]:
    given = [(f"{at}/labels", label) for label in relabel.labels.values()]
    given += [(f"{at}/rows/{i}/label", row.label) for i, row in enumerate(relabel.rows)]
    for pointer, label in given:
        if not _is_usable(label):
            message = f"{quote(label)} is blank, or holds a control character"
            yield _violation(pointer, message)
    seen: dict[int, set[Split | None]] = {}
    for i, row in enumerate(relabel.rows):
        splits = seen.setdefault(row.line, set())
        if row.split in splits:
            yield _violation(f"{at}/rows/{i}/line", f"line {row.line} stands here twice")
        elif splits and None in (row.split, *splits):
            message = f"line {row.line} stands here twice: without a split it is that of any"
            yield _violation(f"{at}/rows/{i}/line", message)
        splits.add(row.split)


def _untrue(transforms: Sequence[Transform], parent: Row[Any]) -> Iterator[FieldError]:
    """Yield what is wrong for this dataset."""
    known: set[str] = set(parent.labels)
    for i, each in enumerate(transforms):
        at = f"/transforms/{i}"
        for old in each.labels:
            if old not in known:
                message = f"{quote(old)} is no label of {parent.id}"
                yield FieldError(code="unknown-label", message=message, pointer=f"{at}/labels")
        for j, row in enumerate(each.rows):
            if row.split is None and parent.spec.files is not None:
                message = f"each split was a file, and each may have a line {row.line}"
                yield FieldError(
                    code="missing-required-field", message=message, pointer=f"{at}/rows/{j}/split"
                )
        known = {each.labels.get(label, label) for label in known}
        known |= {row.label for row in each.rows}


def _is_usable(label: str) -> bool:
    # As the ingest sees it: a tab is let through.
    controls = (unicodedata.category(character) == "Cc" for character in label.replace("\t", ""))
    return bool(label.strip()) and not any(controls)


def _violation(pointer: str, message: str) -> FieldError:
    return FieldError(code="schema-violation", message=message, pointer=pointer)


HANDLERS = [transform]
