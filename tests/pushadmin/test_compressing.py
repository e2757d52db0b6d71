"""pushadmin.compressing: pages are compressed for whoever can read that, APIs are not."""

import gzip

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_a_page_is_compressed_for_a_browser_that_takes_it(client: Client) -> None:
    plain = client.get("/login/")
    answer = client.get("/login/", headers={"accept-encoding": "gzip, br"})

    assert "Content-Encoding" not in plain
    assert answer["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer["Vary"]
    assert len(answer.content) < len(plain.content) / 2
    assert b"<h1" in gzip.decompress(answer.content)


def test_answers_of_apis_are_not_compressed(client: Client) -> None:
    answer = client.get("/push/3/logs", headers={"accept-encoding": "gzip"})

    assert answer["Content-Type"].startswith("application/json")
    assert "Content-Encoding" not in answer
