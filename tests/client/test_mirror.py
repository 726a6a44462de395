"""The asynchronous client mirrors the blocking one: the same names, parameters and defaults."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tunery import AsyncClient, AsyncJob, Client, Job

# What blocks for an iterator, or returns at once: no await stands before it.
NOT_AWAITED = {
    "with_options",
    "datasets.list",
    "datasets.label_issues",
    "datasets.rows",
    "jobs.list",
    "jobs.events",
    "jobs.bound",
    "evaluations.list",
    "evaluations.errors",
    "models.list",
    "deployments.list",
    "keys.list",
    "predict.responses",
    "Job.events",
}
NAMESPACES = (
    *("files", "datasets", "jobs", "finetune", "evaluations"),
    *("models", "deployments", "predict", "keys"),
)


def methods(kind: type, inside: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(kind).items():
        if inspect.isfunction(value) and (not name.startswith("_") or name == "__call__"):
            yield inside + name, value


def methods_of(client: Client | AsyncClient) -> dict[str, Callable[..., Any]]:
    found = dict(methods(type(client)))
    for name in NAMESPACES:
        found.update(methods(type(getattr(client, name)), f"{name}."))
    return found


def methods_of_both() -> list[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    blocking = methods_of(Client("http://x", api_key="k"))
    awaiting = methods_of(AsyncClient("http://x", api_key="k"))
    blocking["__init__"], awaiting["__init__"] = Client.__init__, AsyncClient.__init__
    blocking.update(methods(Job, "Job."))
    awaiting.update(methods(AsyncJob, "Job."))
    return [(name, blocking[name], awaiting[name]) for name in blocking if name in awaiting]


def plain(text: str | None) -> str:
    """Return a type as the blocking client calls it, which takes texts from one kind only."""
    several = r" \| collections\.abc\.AsyncIterable\[str \| tunery\.types\.predictions\.TextPair\]"
    text = re.sub(several, "", text or "")
    return re.sub(r"\bAsync(?=[A-Z])", "", text.replace("_async_", "_"))


def parameters(method: Callable[..., Any]) -> list[tuple[str, str, object, str]]:
    return [
        (each.name, str(each.kind), each.default, plain(inspect.formatannotation(each.annotation)))
        for each in inspect.signature(method).parameters.values()
    ]


def test_both_clients_have_the_same_namespaces() -> None:
    def namespaces(client: object) -> set[str]:
        return {name for name in vars(client) if not name.startswith("_")}

    assert namespaces(Client("http://x", api_key="k")) == set(NAMESPACES)
    assert namespaces(AsyncClient("http://x", api_key="k")) == set(NAMESPACES)


def test_both_clients_have_the_same_methods() -> None:
    blocking = methods_of(Client("http://x", api_key="k"))
    awaiting = methods_of(AsyncClient("http://x", api_key="k"))

    assert set(blocking) == set(awaiting)
    assert len(blocking) > 45


def test_both_jobs_have_the_same_methods_and_fields() -> None:
    assert dict(methods(Job)).keys() == dict(methods(AsyncJob)).keys()
    assert Job.__struct_fields__ == AsyncJob.__struct_fields__


@pytest.mark.parametrize(
    ("blocking", "awaiting"),
    [pytest.param(one, other, id=name) for name, one, other in methods_of_both()],
)
def test_a_method_has_the_same_parameters_defaults_and_answer(
    blocking: Callable[..., Any], awaiting: Callable[..., Any]
) -> None:
    assert parameters(awaiting) == parameters(blocking)
    answers = [inspect.signature(each).return_annotation for each in (awaiting, blocking)]
    assert plain(inspect.formatannotation(answers[0])) == plain(
        inspect.formatannotation(answers[1])
    )


@pytest.mark.parametrize(
    ("blocking", "awaiting"),
    [pytest.param(one, other, id=name) for name, one, other in methods_of_both()],
)
def test_a_method_has_the_same_docstring(
    blocking: Callable[..., Any], awaiting: Callable[..., Any]
) -> None:
    assert plain(awaiting.__doc__) == blocking.__doc__


def test_everything_is_awaited_but_what_is_iterated() -> None:
    not_awaited = {
        name for name, _, method in methods_of_both() if not inspect.iscoroutinefunction(method)
    }

    assert not_awaited == NOT_AWAITED | {"__init__"}
