"""What a type checker must refuse, line by line. Checked, never run."""

from tunery import Client


def wrong(client: Client) -> None:
    client.predict("intent", 7)  # error
    client.predict("intent", "hi", top=3)  # error
    client.finetune("ds_1")  # error
    client.finetune("ds_1", model="intent", hyperparameters={"epochs": 2})  # error
    client.jobs.list(status="done")  # error
    client.keys.create("ci", scope="root")  # error
    client.deployments.deploy("intent", 3)  # error
    client.datasets.get("ds_1").size_in_rows  # error  # noqa: B018
    client.predict("intent", ["hi"]).label  # error  # noqa: B018
