"""A server of pictures on loopback that devices and we reach by https."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.cache import cache

from providers import guarded
from simulator import certificates
from tests.receiver import Receiver, receiving


@contextmanager
def serving(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Its certificate is trusted, and nothing is remembered of earlier pictures."""
    issuer = certificates.authority(home)
    monkeypatch.setenv("SSL_CERT_FILE", str(issuer.file))
    guarded._tls.cache_clear()
    cache.clear()
    tls: ssl.SSLContext = certificates.context(issuer, "localhost", ["http/1.1"])
    with receiving(tls) as receiver:
        yield receiver
    guarded._tls.cache_clear()
