"""Keys: what an API key looks like, and how one is known again.

A key is `tnr_<id>_<secret>_<checksum>`: the checksum turns away typing errors, and whatever is
not a key, without a look at the database. Only the SHA-256 of a key is stored.
"""

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import string
import time
import zlib
from pathlib import Path

import msgspec

from tunery_server.db.columns import now
from tunery_server.db.engine import Database
from tunery_server.db.queries import keys as key_queries
from tunery_trainer.protocol.manifest import sync_directory

REFRESH_SECONDS = 1.0  # a key that is removed is refused everywhere after this
KEY_FILE = "admin.key"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_CHARACTERS = 43  # 256 bits
_FORM = re.compile(rb"tnr_([0-9A-Za-z]{8})_[0-9A-Za-z]{43}_([0-9a-f]{8})")
_NOBODY = b"\0" * 32


class Key(msgspec.Struct, kw_only=True, frozen=True):
    """A key as it is known here."""

    id: str
    project: str
    scope: str
    sha256: bytes


class Keys:
    """The keys of the database, read again when they are a second old."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Key] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, secret: bytes) -> Key | None:
        """Return the key that this secret is, in the same time whether it is known or not."""
        key_id = parse(secret)
        if key_id is None:
            return None
        if time.monotonic() - self._read_at >= REFRESH_SECONDS:
            await self._refresh()
        key = self._known.get(key_id)
        matches = hmac.compare_digest(key.sha256 if key else _NOBODY, sha256(secret))
        return key if matches else None

    def forget(self) -> None:
        """Read the keys again before the next answer."""
        self._read_at = float("-inf")

    async def _refresh(self) -> None:
        async with self._reading:
            if time.monotonic() - self._read_at < REFRESH_SECONDS:
                return
            started_at = time.monotonic()
            async with self._database.read() as connection:
                rows = await key_queries.all_rows(connection)
            self._known = {
                row.id: Key(id=row.id, project=row.project, scope=row.scope, sha256=row.sha256)
                for row in rows
            }
            self._read_at = started_at


def new_key() -> tuple[str, str]:
    """Return the id and the text of a fresh key."""
    key_id = _random(8)
    body = f"tnr_{key_id}_{_random(_SECRET_CHARACTERS)}"
    return key_id, f"{body}_{_checksum(body.encode())}"


def parse(secret: bytes) -> str | None:
    """Return the id in a key, or None for what has not the form of one."""
    match = _FORM.fullmatch(secret)
    if match is None or _checksum(secret[:-9]).encode() != match.group(2):
        return None
    return match.group(1).decode()


def sha256(secret: bytes) -> bytes:
    """Return what is stored of a key."""
    return hashlib.sha256(secret).digest()


async def ensure_admin_key(database: Database, root: Path) -> None:
    """Make the first key where there is none, and leave it in the data directory.

    The file is written before the row is committed: whatever happens between, the next start
    makes another key.
    """
    async with database.write() as connection:
        if await key_queries.count(connection) > 0:
            return
        key_id, secret = new_key()
        await key_queries.add(
            connection,
            id=key_id,
            project="default",
            name="admin",
            scope="admin",
            sha256=sha256(secret.encode()),
            created_at=now(),
        )
        await asyncio.to_thread(_write_private, root / KEY_FILE, f"{secret}\n")


def _write_private(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)


def _random(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))


def _checksum(body: bytes) -> str:
    return f"{zlib.crc32(body):08x}"
