"""Which room answers which path."""

from django.urls import include, path

from pushadmin.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("", include("allauth.urls")),
    path("", include("devices.urls")),
    path("", include("campaigns.urls")),
    path("", include("api.urls")),
]
