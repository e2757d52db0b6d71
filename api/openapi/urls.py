"""Where the APIs are described."""

from django.urls import URLPattern, URLResolver, path

from api.openapi import pages

app_name = "reference"
urlpatterns: list[URLPattern | URLResolver] = [
    path("openapi.json", pages.openapi, name="openapi"),
    path("reference/", pages.reference, name="calls"),
    path("reference/<str:name>/", pages.call_detail, name="call"),
]
