"""Where the APIs are described."""

from django.urls import URLPattern, URLResolver, path

from api.openapi import pages

app_name = "reference"
urlpatterns: list[URLPattern | URLResolver] = [
    path("openapi.json", pages.openapi, name="openapi"),
]
