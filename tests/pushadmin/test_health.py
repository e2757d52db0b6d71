"""pushadmin.health: what load balancers ask."""

import pytest
from django.test import Client


@pytest.mark.django_db
def test_a_process_whose_database_answers_is_healthy(client: Client) -> None:
    response = client.get("/healthz")

    assert response.status_code == 200
    assert response.content == b"ok\n"
