"""Which room answers which path."""

from django.urls import include, path

urlpatterns = [
    path("", include("allauth.urls")),
    path("", include("devices.urls")),
    path("", include("campaigns.urls")),
    path("", include("api.openapi.urls")),
    path("", include("api.urls")),
]

handler400 = "api.endpoint.bad_request"
