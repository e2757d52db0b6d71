"""Dashboard paths."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, path

from devices.views import (
    access,
    applications,
    auditing,
    components,
    custom,
    device_base,
    exports,
    imports,
    owners,
    people,
    registrations,
    team,
    token_keys,
)

app_name = "devices"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", applications.home, name="home"),
    path("go/<int:application>/", applications.application_home, name="application-home"),
    path("apps/<int:application>/devices/", registrations.device_list, name="list"),
    path("apps/<int:application>/devices/<int:pk>/", registrations.device_detail, name="detail"),
    path(
        "apps/<int:application>/devices/<int:pk>/switch/",
        registrations.device_switch,
        name="device-switch",
    ),
    path(
        "apps/<int:application>/devices/<int:pk>/numbers/<int:identity>/open/",
        registrations.number_open,
        name="number-open",
    ),
    path(
        "apps/<int:application>/devices/<int:pk>/owner/preview/",
        owners.owner_preview,
        name="owner-preview",
    ),
    path("apps/<int:application>/devices/<int:pk>/owner/", owners.owner_change, name="owner"),
    path("apps/<int:application>/devices/<int:pk>/owner/part/", owners.owner_part, name="part"),
    path(
        "apps/<int:application>/devices/<int:pk>/owner/undo/<int:entry>/",
        owners.owner_undo,
        name="owner-undo",
    ),
    path(
        "apps/<int:application>/changes/<int:entry>/undo/", owners.change_undo, name="change-undo"
    ),
    path("apps/<int:application>/devices/<int:pk>/primary/", owners.primary_change, name="primary"),
    path(
        "apps/<int:application>/devices/<int:pk>/attribute/",
        custom.device_attribute,
        name="device-attribute",
    ),
    path(
        "apps/<int:application>/people/<int:pk>/attribute/",
        custom.person_attribute,
        name="person-attribute",
    ),
    path("apps/<int:application>/people/", people.person_list, name="people"),
    path("apps/<int:application>/people/<int:pk>/", people.person_detail, name="person"),
    path("apps/<int:application>/people/<int:pk>/edit/", people.person_edit, name="person-edit"),
    path("apps/<int:application>/people/<int:pk>/erase/", people.person_erase, name="person-erase"),
    path("apps/<int:application>/device-base/", device_base.base, name="base"),
    path("apps/<int:application>/export/<str:name>/", exports.export, name="export"),
    path("apps/<int:application>/imports/", imports.import_list, name="imports"),
    path("apps/<int:application>/imports/<int:pk>/", imports.import_detail, name="import-detail"),
    path(
        "apps/<int:application>/imports/<int:pk>/start/", imports.import_start, name="import-start"
    ),
    path(
        "apps/<int:application>/imports/<int:pk>/refused.csv",
        imports.import_refusals,
        name="import-refusals",
    ),
    path("apps/<int:application>/team/", team.team_page, name="team"),
    path("apps/<int:application>/team/invite/", team.invitation_new, name="team-invite"),
    path(
        "apps/<int:application>/team/invitations/<int:pk>/withdraw/",
        team.invitation_withdraw,
        name="team-withdraw",
    ),
    path("apps/<int:application>/team/<int:pk>/role/", team.role_change, name="team-role"),
    path("apps/<int:application>/team/<int:pk>/remove/", team.member_remove, name="team-remove"),
    path("apps/<int:application>/team/<int:pk>/sessions/", team.sessions_end, name="team-sessions"),
    path("apps/<int:application>/team/<int:pk>/account/", team.account_switch, name="team-account"),
    path("join/", team.join, name="join"),
    path("help/roles/", team.roles, name="roles"),
    path("settings/access/", access.access_list, name="access"),
    path("settings/access/keys/new/", access.key_new, name="access-key-new"),
    path("settings/access/keys/<int:pk>/", access.key_edit, name="access-key"),
    path("settings/access/keys/<int:pk>/replace/", access.key_replace, name="access-key-replace"),
    path("settings/access/keys/<int:pk>/revoke/", access.key_revoke, name="access-key-revoke"),
    path("settings/access/users/new/", access.user_new, name="access-user-new"),
    path("settings/access/users/<int:pk>/", access.user_edit, name="access-user"),
    path("settings/access/users/<int:pk>/renew/", access.user_renew, name="access-user-renew"),
    path("settings/access/users/<int:pk>/switch/", access.user_switch, name="access-user-switch"),
    path("settings/audit/", auditing.audit_page, name="audit"),
    path("settings/audit/audit.csv", auditing.audit_file, name="audit-file"),
    path("settings/applications/", applications.application_list, name="applications"),
    path("settings/applications/new/", applications.application_new, name="application-new"),
    path(
        "settings/applications/<int:application>/",
        applications.application_detail,
        name="application-detail",
    ),
    path(
        "settings/applications/<int:application>/user-tokens/new/",
        token_keys.token_key_new,
        name="token-key-new",
    ),
    path(
        "settings/applications/<int:application>/user-tokens/<int:pk>/remove/",
        token_keys.token_key_remove,
        name="token-key-remove",
    ),
    path(
        "settings/applications/<int:application>/credentials/new/<str:provider>/",
        applications.credential_new,
        name="credential-new",
    ),
    path(
        "settings/applications/<int:application>/credentials/<int:pk>/",
        applications.credential_edit,
        name="credential-edit",
    ),
    path(
        "settings/applications/<int:application>/credentials/<int:pk>/dead/close/",
        applications.credential_decide,
        {"decision": "close"},
        name="credential-close-dead",
    ),
    path(
        "settings/applications/<int:application>/credentials/<int:pk>/dead/keep/",
        applications.credential_decide,
        {"decision": "keep"},
        name="credential-keep-dead",
    ),
    path(
        "settings/applications/<int:application>/credentials/<int:pk>/remove/",
        applications.credential_remove,
        name="credential-remove",
    ),
]
if settings.DEBUG:
    urlpatterns.append(path("settings/components/", components.components, name="components"))
