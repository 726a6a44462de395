"""The start of a life: what can't be used is refused in one line."""

import pytest

from tunery_server.settings import Settings
from tunery_server.supervisor.start import StartRefused, bind, lock_data_dir


def test_a_data_directory_that_can_not_be_made_is_refused() -> None:
    with pytest.raises(StartRefused, match=r"can't keep data in /proc/tunery: No such file"):
        lock_data_dir(Settings(data_dir="/proc/tunery"))


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(StartRefused, match=rf"127\.0\.0\.1:{port}: a port is 0 to 65535"):
        bind(Settings(port=port))
