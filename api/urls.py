"""Paths that other systems call."""

from django.urls import URLPattern, URLResolver, path, re_path

from api import (
    carousels,
    huawei_receipts,
    mobile,
    mobile_events,
    mobile_inbox,
    mobile_messages,
    mobile_people,
    mobile_service,
    mobile_signed,
    sdk,
    segments,
    sms_reports,
)
from api.infobip import (
    contacts,
    persons,
    push,
    push_family,
    push_logs,
    push_reports,
    push_totals,
)
from api.insider import calling as insider
from api.insider import message_center, sending
from api.insider import statistics as insider_statistics

app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    path("mobile/1/appinstance", mobile.instances),
    path("mobile/1/appinstance/<str:public_id>", mobile.instance),
    path("mobile/1/appinstance/<str:public_id>/personalize", mobile_signed.personalizations),
    path("mobile/1/appinstance/<str:public_id>/repersonalize", mobile_people.repersonalizations),
    path("mobile/1/appinstance/<str:public_id>/depersonalize", mobile_people.partings),
    path("mobile/1/appinstance/<str:public_id>/user", mobile_signed.users),
    path("mobile/1/appinstance/<str:public_id>/user/events/session", mobile_events.sessions),
    path("mobile/1/appinstance/<str:public_id>/user/events/custom", mobile_events.custom_events),
    path("mobile/1/appinstance/<str:public_id>/user/livechatinfo", mobile_people.live_chats),
    path("mobile/1/messages/deliveryreport", mobile_messages.delivery_reports),
    path("mobile/2/messages/seen", mobile_messages.seen_messages),
    path("mobile/5/messages", mobile_messages.messages),
    path("mobile/1/messages/mo", mobile_messages.written_messages),
    path("mobile/1/inapp/click/<str:message_id>", mobile_messages.clicks),
    path(
        "mobile/1/user/<path:external_id>/inbox/<str:cloud>/messages",
        mobile_inbox.inboxes,
    ),
    path("mobile/3/version", mobile_service.versions),
    path("mobile/1/baseurl", mobile_service.base_urls),
    path("sdk/1/carousels/<str:key>/<int:content>/<uuid:message_id>", carousels.carousel),
    path("sdk/1/receipts", sdk.receipts),
    path("sdk/1/subscriptions", sdk.subscriptions),
    re_path(r"^sdk(?:/[\s\S]*)?$", sdk.nothing),
    path("callbacks/sms/<int:application>/<str:token>", sms_reports.infobip_reports),
    path(
        "callbacks/sms/<int:application>/<str:token>/<uuid:message_id>",
        sms_reports.twilio_report,
    ),
    path("callbacks/huawei/<str:code>", huawei_receipts.receipts, name="huawei-receipts"),
    re_path(r"^callbacks/sms(?:/[\s\S]*)?$", sms_reports.nothing),
    re_path(r"^/*(?:mobile|webrtc)(?:/[\s\S]*)?$", mobile.nothing),
    path("people/2/contactInformation/push/<str:public_id>", contacts.registrations),
    path(
        "people/2/contactInformation/push/<str:public_id>/personalize",
        contacts.personalizations,
    ),
    path("people/2/contactInformation/push/<str:public_id>/depersonalize", contacts.partings),
    path("people/2/persons", persons.persons),
    path("segments/1/segments", segments.segments),
    path("segments/1/segments/<int:number>", segments.segment),
    path("segments/1/segments/<int:number>/count", segments.count),
    path("segments/1/segments/<int:number>/members", segments.members),
    re_path(r"^/*segments(?:/[\s\S]*)?$", segments.nothing),
    re_path(r"^/*people(?:/[\s\S]*)?$", contacts.nothing),
    path("push/3/messages", push.messages),
    path("push/1/statistics", push_totals.statistics),
    path("push/3/reports", push_reports.reports),
    path("push/3/logs", push_logs.logs),
    path("push/1/reports", push_reports.older_reports),
    re_path(r"^/*push/+3(?:/[\s\S]*)?$", push_family.nothing),
    re_path(r"^/*push(?:/[\s\S]*)?$", push_family.nothing_older),
    path("api/v2/notification/user", sending.notifications),
    path("api/v1/notification/get_statistics", insider_statistics.statistics),
    path("api/message_center/v1", message_center.messages),
    re_path(r"^/*api(?:/[\s\S]*)?$", insider.nothing),
]
