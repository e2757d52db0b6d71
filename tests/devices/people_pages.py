"""Calls to the pages of people and their devices, and what these said."""

from typing import Any

from django.test import Client
from django.urls import reverse

from devices.models import Application, Registration
from devices.views.trail import Change


def url(name: str, application: Application, *keys: int, query: str = "") -> str:
    return reverse(f"devices:{name}", args=[application.pk, *keys]) + query


def said(response: Any) -> list[str]:
    return [str(each) for each in response.context["messages"]]


def in_place(client: Client, address: str, typed: dict[str, str] | None = None) -> Any:
    return client.post(address, typed or {}, headers={"HX-Request": "true"})


def timeline(client: Client, device: Registration) -> list[Change]:
    part = reverse("campaigns:device-timeline", args=[device.application_id, device.pk])
    lines = client.get(part).context["lines"]
    return [line.change for line in lines if line.change is not None]
