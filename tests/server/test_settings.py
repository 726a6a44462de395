"""Settings: an argument wins over a variable, a variable over the default."""

import pytest

from tunery_server.settings import SettingsInvalid, child_environment, read_settings


def test_an_argument_wins_over_a_variable() -> None:
    found = read_settings(["--port", "81"], {"TUNERY_PORT": "82", "TUNERY_WORKERS": "2"})

    assert (found.port, found.workers, found.host) == (81, 2, "127.0.0.1")


def test_lists_and_pairs_are_comma_separated() -> None:
    found = read_settings(["--devices=cuda:0,cuda:1", "--base-models=a=/m/a,org/b="], {})

    assert found.device_slots == ["cuda:0", "cuda:1"]
    assert found.base_models == {"a": "/m/a", "org/b": ""}


def test_no_device_is_a_slot_where_none_is_asked_for() -> None:
    assert read_settings(["--devices=none"], {}).device_slots == []
    assert read_settings([], {}).device_slots == ["cpu"]


def test_a_number_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(SettingsInvalid, match=r"^--port \(TUNERY_PORT\) is 'eighty', not a whole"):
        read_settings(["--port=eighty"], {})


def test_children_get_no_secret() -> None:
    found = child_environment({"PATH": "/bin", "TUNERY_DATABASE_URL": "secret", "AWS_KEY": "x"})

    assert found == {"PATH": "/bin"}
