"""Keys: what an API key looks like, and how one is known again.

A key is `tnr_<id>_<secret>_<checksum>`: the checksum turns away typing errors, and whatever is
not a key, without a look at the database. Only the SHA-256 of a key is stored.
"""

import asyncio
import hashlib
import hmac
import logging
import os
import re
import secrets
import string
import time
import zlib
from datetime import datetime
from pathlib import Path

import msgspec

from tunery_server.db.columns import now
from tunery_server.db.engine import FAILURES, Database
from tunery_server.db.queries import keys as key_queries
from tunery_server.news import News
from tunery_trainer.protocol.manifest import sync_directory

logger = logging.getLogger("tunery.api")

REFRESH_SECONDS = 1.0  # a key that is removed is refused everywhere after this
STALE_SECONDS = 60.0  # or, where the database can't be read, after this
NEWS = "keys"  # told to every worker of the machine: what they know is out of date
KEY_FILE = "admin.key"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_CHARACTERS = 43  # 256 bits
_FORM = re.compile(rb"tnr_([0-9A-Za-z]{8})_[0-9A-Za-z]{43}_([0-9a-f]{8})")
_ID = re.compile(r"[0-9A-Za-z]{8}")
_NOBODY = b"\0" * 32


class Key(msgspec.Struct, kw_only=True, frozen=True):
    """A key as it is known here."""

    id: str
    project: str
    scope: str
    sha256: bytes
    expires_at: datetime | None


class Keys:
    """The keys of the database, read again when they are a second old."""

    def __init__(self, database: Database, news: News) -> None:
        self._database = database
        self._known: dict[str, Key] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._forgotten_at = float("-inf")
        self._reading = asyncio.Lock()
        self._noted: dict[str, float] = {}  # when the use of each was last written down
        self._notes: set[asyncio.Task[None]] = set()
        news.on_news(self._on_news)

    async def find(self, secret: bytes) -> Key | None:
        """Return the key that this secret is, in the same time whether it is known or not."""
        key_id = parse(secret)
        if key_id is None:
            return None
        if self._is_old():
            await self._refresh()
        key = self._known.get(key_id)
        matches = hmac.compare_digest(key.sha256 if key else _NOBODY, sha256(secret))
        if key is None or not matches or (key.expires_at is not None and key.expires_at <= now()):
            return None
        self._note_use(key_id)
        return key

    def forget(self) -> None:
        """Read the keys again before the next answer."""
        self._forgotten_at = time.monotonic()

    async def close(self) -> None:
        """Wait for the uses that are being written down."""
        await asyncio.gather(*self._notes)

    def _on_news(self, key: str) -> None:
        if key == NEWS:
            self.forget()

    def _is_old(self) -> bool:
        # A read that had begun before `forget` may lack what there was to learn.
        return self._tried_at <= max(time.monotonic() - REFRESH_SECONDS, self._forgotten_at)

    async def _refresh(self) -> None:
        async with self._reading:
            if not self._is_old():
                return
            started_at = time.monotonic()
            try:
                async with self._database.read() as connection:
                    rows = await key_queries.all_rows(connection)
            except FAILURES:
                if self._read_at <= max(started_at - STALE_SECONDS, self._forgotten_at):
                    raise
                logger.warning("the keys can't be read; those that are known stay", exc_info=True)
                self._tried_at = time.monotonic()
                return
            self._known = {
                row.id: Key(
                    id=row.id,
                    project=row.project,
                    scope=row.scope,
                    sha256=row.sha256,
                    expires_at=row.expires_at,
                )
                for row in rows
            }
            self._read_at = self._tried_at = started_at

    def _note_use(self, key_id: str) -> None:
        """Have a use written down once a minute, while the request goes on."""
        moment = time.monotonic()
        recorded_at = self._noted.get(key_id, float("-inf"))
        if moment - recorded_at < key_queries.USE_RECORDED.total_seconds():
            return
        self._noted[key_id] = moment
        note = asyncio.create_task(self._record_use(key_id), name=f"use of key {key_id}")
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _record_use(self, key_id: str) -> None:
        try:
            async with self._database.write() as connection:
                await key_queries.record_use(connection, key_id)
        except FAILURES:
            logger.warning("the use of key %s could not be written down", key_id, exc_info=True)


def new_key() -> tuple[str, str]:
    """Return the id and the text of a fresh key."""
    key_id = _random(8)
    return key_id, new_secret(key_id)


def new_secret(key_id: str) -> str:
    """Return a fresh text of the key with this id."""
    body = f"tnr_{key_id}_{_random(_SECRET_CHARACTERS)}"
    return f"{body}_{_checksum(body.encode())}"


def is_key_id(text: str) -> bool:
    """Return whether a text has the form of a key's id."""
    return _ID.fullmatch(text) is not None


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
