"""Settings of a client: where the service is, and the key for it.

The only module of the SDK that reads the environment: `TUNERY_URL`, `TUNERY_API_KEY`,
`TUNERY_DATA_DIR`, and the locale for the language of the messages.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from tunery.errors import NotConfigured

Language = Literal["en", "zh"]
DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_DATA_DIR = "tunery-data"
KEY_FILE = "admin.key"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ClientSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Where to ask, as whom, and in which language."""

    url: str
    api_key: str
    language: Language

    def __repr__(self) -> str:
        return f"ClientSettings(url={self.url!r}, language={self.language!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # msgspec has one, which would show the key.
        return [("url", self.url), ("language", self.language)]


def read_settings(
    url: str | None,
    api_key: str | None,
    language: Language | None,
    environment: Mapping[str, str] | None = None,
) -> ClientSettings:
    """Return the settings: an argument wins over a variable, a variable over the key file.

    Raises:
        NotConfigured: the URL is none, or there is no key.
    """
    environment = os.environ if environment is None else environment
    found_url = (url or environment.get("TUNERY_URL") or DEFAULT_URL).rstrip("/")
    host = _host_of(found_url)
    key = api_key or environment.get("TUNERY_API_KEY") or _key_of_file(host, environment)
    if not key.isascii() or not key.isprintable():
        raise NotConfigured("the API key holds characters that no key has")
    return ClientSettings(
        url=found_url, api_key=key, language=language or locale_language(environment)
    )


def locale_language(environment: Mapping[str, str] | None = None) -> Language:
    """Return the language of the locale, of the two there are.

    Source: POSIX, 8.2: LC_ALL before LC_MESSAGES before LANG.
    """
    environment = os.environ if environment is None else environment
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return "zh" if environment[name].lower().startswith("zh") else "en"
    return "en"


def key_file(environment: Mapping[str, str] | None = None) -> Path:
    """Return where the server on this machine leaves its first key."""
    environment = os.environ if environment is None else environment
    return Path(environment.get("TUNERY_DATA_DIR") or DEFAULT_DATA_DIR) / KEY_FILE


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise NotConfigured(
                f"the URL of {parts.hostname} names a user; leave that out, and set TUNERY_API_KEY"
            )
        usable = parts.scheme in ("http", "https") and parts.port != 0  # reading it checks it
        host = parts.hostname if usable else None
    except ValueError:
        host = None
    if not host:
        raise NotConfigured(f"{url!r} is no URL of a service; write http://host:port")
    return host


def _key_of_file(host: str, environment: Mapping[str, str]) -> str:
    path = key_file(environment)
    # The key of a service on this machine is not for others, unless the directory was named.
    if host not in _LOOPBACK and not environment.get("TUNERY_DATA_DIR"):
        raise NotConfigured(f"there is no key for {host}; set TUNERY_API_KEY or pass api_key=")
    try:
        key = path.read_text("ascii").strip()
    except FileNotFoundError:
        raise NotConfigured(
            "there is no API key: set TUNERY_API_KEY, pass api_key=, or set TUNERY_DATA_DIR to the"
            f" server's data directory ({path} does not exist)"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NotConfigured(f"the API key in {path} can't be read: {error}") from None
    if not key:
        raise NotConfigured(f"{path} is empty; set TUNERY_API_KEY or pass api_key=")
    return key
