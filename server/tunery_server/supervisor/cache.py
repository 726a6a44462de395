"""The cache: tokenised rows, in a folder per dataset that goes when the dataset does.

`specs` names the folders, fine-tunes fill them. A dataset that a job still needs can't be deleted,
so that nobody reads or writes what is removed here.
"""

import asyncio
import shutil
from pathlib import Path

from tunery_server.db.engine import Database
from tunery_server.db.queries import datasets


async def sweep(database: Database, cache_dir: Path) -> None:
    """Remove the folders of datasets that are deleted."""
    # The folders first: one that is made meanwhile is not among them.
    folders = await asyncio.to_thread(lambda: {each.name: each for each in cache_dir.glob("ds_*")})
    if not folders:
        return
    async with database.read() as connection:
        known = await datasets.known(connection, folders)
    for name in folders.keys() - known:
        await asyncio.to_thread(shutil.rmtree, folders[name], ignore_errors=True)
