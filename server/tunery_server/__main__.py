"""The service's programs.

python -m tunery_server [--host … --port … --data-dir …]    the service (`tunery serve`)
python -m tunery_server openapi                             its OpenAPI document, on stdout
"""

import os
import sys
from pathlib import Path

import msgspec

from tunery_server.settings import Settings, SettingsInvalid, child_environment, read_settings


def main() -> int:
    """Run what the arguments ask for; return the exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["openapi"]:
        from tunery_server.openapi import document

        sys.stdout.buffer.write(document())
        return 0
    if arguments[:1] == ["api"]:
        from tunery_server.worker import run

        run(msgspec.json.decode(Path(arguments[1]).read_bytes(), type=Settings), int(arguments[2]))
        return 0
    try:
        settings = read_settings(arguments, os.environ)
    except SettingsInvalid as error:
        sys.stderr.write(f"tunery serve: {error}\n")
        return 2
    from tunery_server.supervisor.loop import serve

    return serve(settings, child_environment(os.environ))


if __name__ == "__main__":
    sys.exit(main())
