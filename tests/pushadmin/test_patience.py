"""A page whose question takes PostgreSQL too long."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from pushadmin.urls import urlpatterns as ours

pytestmark = pytest.mark.django_db


def slow(_: HttpRequest) -> HttpResponse:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 10")
        cursor.execute("SELECT pg_sleep(60)")
    return HttpResponse()


def broken(_: HttpRequest) -> HttpResponse:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
    return HttpResponse()


urlpatterns = [path("slow/", slow), path("broken/", broken), *ours]


def test_a_page_that_asks_for_too_much_says_so(client: Client, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__

    answer = client.get("/slow/")

    assert answer.status_code == 503
    assert "This took too long" in answer.content.decode()


def test_another_mistake_stays_one(client: Client, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False

    assert client.get("/broken/").status_code == 500
