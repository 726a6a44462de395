"""Brings a database to the newest schema. Only the supervisor calls it, before anything else."""

from pathlib import Path

from sqlalchemy import Connection

from tunery_server.db.engine import Database


async def upgrade(database: Database, to: str = "head") -> None:
    """Apply the migrations that the database lacks, in one transaction."""
    async with database.write() as connection:
        await connection.run_sync(_upgrade, to)


def _upgrade(connection: Connection, to: str) -> None:
    # Alembic costs 0.2 s to import: only where there is something to look at.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
