"""Routes, one module per resource: thin, they judge a request, write desired rows, and answer."""

from litestar.handlers import HTTPRouteHandler

from tunery_server.routes import (
    base_models,
    comparisons,
    datasets,
    deployments,
    evaluate,
    events,
    files,
    finetune,
    health,
    jobs,
    keys,
    label_issues,
    metrics,
    models,
    predict,
    problems,
    report,
    rows,
    schema,
    transforms,
)


def all_handlers() -> list[HTTPRouteHandler]:
    """Return every handler of the service."""
    modules = (
        health,
        problems,
        schema,
        files,
        datasets,
        rows,
        transforms,
        label_issues,
        base_models,
        finetune,
        evaluate,
        comparisons,
        report,
        jobs,
        events,
        models,
        deployments,
        predict,
        keys,
        metrics,
    )
    return [handler for module in modules for handler in module.HANDLERS]
