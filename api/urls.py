"""Paths that other systems call."""

from django.urls import URLPattern, URLResolver, path, re_path

from api import mobile

app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    path("mobile/1/appinstance", mobile.instances),
    path("mobile/1/appinstance/<str:public_id>", mobile.instance),
    path("mobile/1/messages/deliveryreport", mobile.delivery_reports),
    path("mobile/2/messages/seen", mobile.seen_messages),
    re_path(r"^/*mobile(?:/[\s\S]*)?$", mobile.nothing),
]
