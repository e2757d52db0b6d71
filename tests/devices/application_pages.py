"""Applications whose administrator is signed in, and where their credentials are edited."""

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from devices.models import Application, Role
from tests.factories import make_user

APNS = {"key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "topic": "com.example.shop"}


def administrator(client: Client, application: Application) -> User:
    user = make_user(Role.ADMINISTRATOR, application)
    client.force_login(user)
    return user


def fcm_url(application: Application) -> str:
    return reverse("devices:credential-new", args=[application.pk, "fcm"])


def apns_url(application: Application) -> str:
    return reverse("devices:credential-new", args=[application.pk, "apns"])
