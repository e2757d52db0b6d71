"""Dashboard paths."""

from django.urls import URLPattern, path

from campaigns.views import (
    builder,
    campaigns,
    composer,
    credentials,
    following,
    lists,
    messages,
    overview,
    personal_data,
    push_api,
    scenarios,
    segments,
    system,
    timeline,
    uploads,
    versions,
    whynot,
)

app_name = "campaigns"
APP = "apps/<int:application>/"
ONE = APP + "campaigns/<int:pk>/"
SEGMENT = APP + "segments/<int:pk>/"
LIST = APP + "lists/<int:pk>/"
SCENARIO = APP + "scenarios/<int:pk>/"

urlpatterns: list[URLPattern] = [
    path(APP, overview.overview, name="overview"),
    path(APP + "campaigns/", campaigns.campaign_list, name="list"),
    path(APP + "campaigns/new/", campaigns.campaign_new, name="new"),
    path(ONE, following.campaign_detail, name="detail"),
    path(ONE + "edit/", composer.campaign_edit, name="edit"),
    path(ONE + "contents/", composer.campaign_contents, name="contents"),
    path(ONE + "audience/", composer.audience_size, name="audience-size"),
    path(ONE + "scenario/", scenarios.scenario_choice, name="scenario-choice"),
    path(ONE + "launch/", composer.campaign_launch, name="launch"),
    path(ONE + "runs/<int:run>/", following.campaign_detail, name="run"),
    path(ONE + "runs/<int:run>/chart/", following.campaign_chart, name="run-chart"),
    path(ONE + "runs/<int:run>/messages/", messages.message_log, name="run-messages"),
    path(ONE + "chart/", following.campaign_chart, name="chart"),
    path(ONE + "pace/", following.campaign_pace, name="pace"),
    path(ONE + "duplicate/", campaigns.campaign_duplicate, name="duplicate"),
    path(ONE + "messages/", messages.message_log, name="messages"),
    *[
        path(ONE + f"{action}/", following.campaign_act, {"action": action}, name=action)
        for action in ("undo", "pause", "resume", "cancel")
    ],
    path(APP + "push-api/", push_api.push_api_list, name="push-api"),
    path(APP + "push-api/<int:camp_id>/", push_api.push_api_detail, name="push-api-detail"),
    path(APP + "segments/", segments.segment_list, name="segments"),
    path(APP + "segments/new/", builder.segment_new, name="segment-new"),
    path(APP + "segments/build/", builder.segment_build, name="segment-build"),
    path(APP + "segments/count/", builder.segment_count, name="segment-count"),
    path(SEGMENT + "edit/", builder.segment_edit, name="segment-edit"),
    path(SEGMENT, segments.segment_detail, name="segment"),
    path(SEGMENT + "size/", segments.segment_size, name="segment-size"),
    path(SEGMENT + "members/", segments.segment_members, name="segment-members"),
    path(SEGMENT + "match/", segments.segment_match, name="segment-match"),
    path(SEGMENT + "versions/", versions.segment_versions, name="segment-versions"),
    path(SEGMENT + "versions/moving/", versions.segment_moving, name="segment-moving"),
    path(SEGMENT + "versions/moved/", versions.segment_moved, name="segment-moved"),
    path(SEGMENT + "versions/restore/", versions.segment_restore, name="segment-restore"),
    path(SEGMENT + "delete/", segments.segment_delete, name="segment-delete"),
    path(APP + "lists/", lists.list_list, name="lists"),
    path(APP + "lists/new/", lists.list_new, name="list-new"),
    path(LIST, lists.list_detail, name="list-detail"),
    path(LIST + "rename/", lists.list_rename, name="list-rename"),
    path(LIST + "delete/", lists.list_delete, name="list-delete"),
    path(LIST + "add/", lists.member_add, name="list-add"),
    path(LIST + "members/<int:member>/remove/", lists.member_remove, name="list-remove"),
    path(LIST + "files/new/", uploads.upload_new, name="list-upload-new"),
    path(LIST + "files/<int:upload>/", uploads.upload_detail, name="list-upload"),
    path(LIST + "files/<int:upload>/columns/", uploads.upload_columns, name="list-columns"),
    path(LIST + "files/<int:upload>/add/", uploads.upload_add, name="list-upload-add"),
    path(LIST + "files/<int:upload>/refused.csv", uploads.upload_refusals, name="list-refusals"),
    path(APP + "devices/<int:pk>/timeline/", timeline.device_timeline, name="device-timeline"),
    path(APP + "scenarios/", scenarios.scenario_list, name="scenarios"),
    path(APP + "scenarios/new/", scenarios.scenario_new, name="scenario-new"),
    path(APP + "scenarios/reach/", scenarios.scenario_reach, name="scenario-reach"),
    path(SCENARIO, scenarios.scenario_detail, name="scenario"),
    path(SCENARIO + "edit/", scenarios.scenario_edit, name="scenario-edit"),
    path(SCENARIO + "delete/", scenarios.scenario_delete, name="scenario-delete"),
    path("settings/system/", system.system, name="system"),
    path("settings/system/reconcile/", system.system_reconcile, name="system-reconcile"),
    path(APP + "people/<int:pk>/timeline/", timeline.person_timeline, name="person-timeline"),
    path(APP + "people/<int:pk>/export/", personal_data.person_export, name="person-export"),
    path(APP + "people/<int:pk>/why-not/", whynot.person_why_not, name="person-why-not"),
    path(APP + "devices/<int:pk>/why-not/", whynot.device_why_not, name="device-why-not"),
    path(
        "settings/applications/<int:application>/credentials/<int:pk>/test/",
        credentials.credential_test,
        name="credential-test",
    ),
]
