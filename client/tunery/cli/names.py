"""Names: what a person types for a resource, as the id that the service knows."""

from tunery.cli.failures import CommandFailed
from tunery.cli.terminal import Terminal


def dataset_id(named: str, terminal: Terminal) -> str:
    """Return the id of a dataset given by its id, its name (the newest) or as name/version.

    Raises:
        CommandFailed: there is none of this name.
    """
    if named.startswith("ds_"):
        return named
    name, slash, version = named.rpartition("/")
    if not (slash and version.isdecimal()):
        name, version = named, ""
    for found in terminal.client.datasets.list(name=name):
        if not version or str(found.version) == version:
            return found.id
    raise CommandFailed(
        terminal.translate("there is no dataset {name}; see: tunery datasets list", name=named)
    )
