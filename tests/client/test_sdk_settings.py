"""Settings of a client: an argument before a variable before the key file."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.pretty import pretty_repr
from tests.client.answers import NEW_KEY

from tunery import Client
from tunery._settings import key_file, locale_language, read_settings
from tunery.errors import NotConfigured
from tunery.types import NewKey

KEY = "tnr_00000000_of-the-file"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "admin.key").write_text(f"{KEY}\n")
    return tmp_path


def test_an_argument_wins_over_a_variable(data_dir: Path) -> None:
    environment = {
        "TUNERY_URL": "http://variable:1",
        "TUNERY_API_KEY": "variable",
        "TUNERY_DATA_DIR": str(data_dir),
        "LANG": "zh_CN.UTF-8",
    }

    settings = read_settings("http://argument:2/", "argument", "en", environment)

    assert settings.url == "http://argument:2"
    assert settings.api_key == "argument"
    assert settings.language == "en"


def test_a_variable_wins_over_the_key_file(data_dir: Path) -> None:
    environment = {
        "TUNERY_URL": "http://variable:1",
        "TUNERY_API_KEY": "variable",
        "TUNERY_DATA_DIR": str(data_dir),
        "LANG": "zh_CN.UTF-8",
    }

    settings = read_settings(None, None, None, environment)

    assert (settings.url, settings.api_key) == ("http://variable:1", "variable")
    assert settings.language == "zh"


def test_the_key_file_is_read_last(data_dir: Path) -> None:
    settings = read_settings(None, None, None, {"TUNERY_DATA_DIR": str(data_dir)})

    assert (settings.url, settings.api_key) == ("http://127.0.0.1:8000", KEY)
    assert settings.language == "en"


def test_an_empty_variable_is_none(data_dir: Path) -> None:
    environment = {"TUNERY_URL": "", "TUNERY_API_KEY": "", "TUNERY_DATA_DIR": str(data_dir)}

    settings = read_settings(None, None, None, environment)

    assert (settings.url, settings.api_key) == ("http://127.0.0.1:8000", KEY)


def test_the_data_directory_is_looked_for_here(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "tunery-data").mkdir()
    (data_dir / "admin.key").rename(data_dir / "tunery-data" / "admin.key")
    monkeypatch.chdir(data_dir)

    assert read_settings("http://localhost:8000", None, None, {}).api_key == KEY
    assert read_settings("http://[::1]:8000", None, None, {}).api_key == KEY
    assert key_file({}) == Path("tunery-data/admin.key")


@pytest.mark.parametrize("environment", [{}, {"TUNERY_DATA_DIR": ""}], ids=["unset", "empty"])
@pytest.mark.parametrize("host", ["other.example", "localhost.other.example", "127.0.0.1.nip.io"])
def test_the_key_of_this_machine_is_not_for_another_host(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], host: str
) -> None:
    (data_dir / "tunery-data").mkdir()
    (data_dir / "admin.key").rename(data_dir / "tunery-data" / "admin.key")
    monkeypatch.chdir(data_dir)

    with pytest.raises(NotConfigured, match=host):
        read_settings(f"http://{host}:8000", None, None, environment)


def test_a_host_before_an_at_sign_is_not_the_host(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data_dir)

    with pytest.raises(NotConfigured, match=r"other\.example"):
        read_settings("http://localhost@other.example", None, None, {})


def test_a_missing_key_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="set TUNERY_API_KEY, pass api_key=, or set"):
        read_settings(None, None, None, {"TUNERY_DATA_DIR": str(tmp_path)})


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"tnr_1\nX-Evil: 1"])
def test_a_key_file_that_holds_no_key_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "admin.key").write_bytes(content)

    with pytest.raises(NotConfigured):
        read_settings(None, None, None, {"TUNERY_DATA_DIR": str(tmp_path)})


def test_a_key_file_that_is_a_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "admin.key").mkdir()

    with pytest.raises(NotConfigured, match="can't be read"):
        read_settings(None, None, None, {"TUNERY_DATA_DIR": str(tmp_path)})


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://host", "http://", "http://[::1", "http://host:99999", "http://h:x"],
)
def test_a_url_that_is_none_is_said_to_be_none(url: str) -> None:
    with pytest.raises(NotConfigured):
        Client(url, api_key="tnr_1_a").close()


@pytest.mark.parametrize("url", ["http://me:pw@host", "http://me@host:8000", "http://@host:x"])
def test_a_url_that_names_a_user_is_none_and_its_password_is_not_said(url: str) -> None:
    with pytest.raises(NotConfigured, match="names a user") as caught:
        read_settings(url, "tnr_1_a", None, {})

    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("shown", [repr, pretty_repr])
def test_a_key_is_not_shown(shown: Callable[[object], str]) -> None:
    settings = read_settings("http://host", "tnr_1_a", "en", {})
    new = msgspec.convert({**NEW_KEY, "secret": "tnr_1_a"}, NewKey)

    assert shown(settings) == "ClientSettings(url='http://host', language='en')"
    assert shown(new) == "NewKey(id='8a4TQz0c', name='ci', scope='predict')"


@pytest.mark.parametrize("key", ["tnr_é", "tnr_1\r\nX-Evil: 1", "tnr_1\x00"])
def test_a_key_of_other_characters_is_none(key: str) -> None:
    with pytest.raises(NotConfigured, match="no key has"):
        read_settings("http://host", key, None, {})


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "de_DE"}, "en"),
        ({"LANG": "en_US", "LC_MESSAGES": "de_DE", "LC_ALL": "zh_TW"}, "zh"),
        ({"LANG": "zh_CN", "LC_ALL": ""}, "zh"),
        ({"LANG": "C"}, "en"),
    ],
)
def test_the_language_is_the_one_of_the_locale(environment: dict[str, str], language: str) -> None:
    assert locale_language(environment) == language
