"""The service's programs.

python -m tunery_server [--host … --port … --data-dir …]    the service (`tunery serve`)
python -m tunery_server key [--data-dir …]                  make the first key, without serving
python -m tunery_server openapi                             its OpenAPI document, on stdout
python -m tunery_server api SETTINGS.json SOCKET            an API worker, by the supervisor
"""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from tunery_server.settings import Settings, SettingsInvalid, child_environment, read_settings
from tunery_trainer.protocol.leash import die_with_parent

USAGE = 2


def main() -> int:
    """Run what the arguments ask for; return the exit code."""
    program = sys.argv[1] if len(sys.argv) > 1 else ""
    match program:
        case "openapi":
            from tunery_server.openapi import document

            sys.stdout.buffer.write(document())
            return 0
        case "api":
            # Before the second that the imports take: an orphan would hold the socket meanwhile.
            die_with_parent()
            from tunery_server.worker import run

            settings = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=Settings)
            run(settings, int(sys.argv[3]))
            return 0
        case _:
            return _operate(program)


def _operate(program: str) -> int:
    arguments = sys.argv[2:] if program == "key" else sys.argv[1:]
    try:
        settings = read_settings(arguments, os.environ)
    except SettingsInvalid as error:
        sys.stderr.write(f"tunery serve: {error}\n")
        return USAGE
    if program == "key":
        return asyncio.run(_make_key(settings))
    from tunery_server.supervisor.loop import serve

    return serve(settings, child_environment(os.environ))


async def _make_key(settings: Settings) -> int:
    from tunery_server.db.engine import Database
    from tunery_server.db.migrate import upgrade
    from tunery_server.keys import KEY_FILE, ensure_admin_key

    os.umask(0o077)
    settings.root.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    try:
        await upgrade(database)
        await ensure_admin_key(database, settings.root)
    finally:
        await database.close()
    sys.stdout.write(f"{settings.root / KEY_FILE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
