from __future__ import annotations

import ssl

import pytest

from tests.providers.certificates import Authority
from tests.providers.running import HOST


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls(authority: Authority) -> ssl.SSLContext:
    """For a server under the clouds' names."""
    clouds = ["fcm.googleapis.com", "api.push.apple.com", "api.sandbox.push.apple.com"]
    return authority.server_context([HOST, *clouds])
