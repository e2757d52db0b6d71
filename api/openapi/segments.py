"""Our own calls about segments (api/segments.py)."""

from typing import Any

from api import segments
from api.openapi.calls import (
    ANY_OBJECT,
    FLAG,
    NUMBER,
    TEXT,
    UUID,
    WHOLE,
    Call,
    Family,
    Parameter,
    Words,
    array,
    known,
    one_of,
    only,
    or_null,
    told,
    whole,
)
from devices.models import Platform

_BODY = {
    "name": "What people call it; of its own inside the application.",
    "rule": "What its members are like: docs/targeting.md.",
    "excludes": "Whether nobody in it gets anything, of any send. Left out: as it is, no at first.",
}
WORDS: Words = {
    segments.SegmentBody: _BODY,
    segments.SegmentChange: {**_BODY, "version": "That its writer has seen."},
}

_APP_CODE = Parameter("AppCode", "The code of the application.", TEXT, "header", required=True)
_AFTER = Parameter("after", "The `next` of an earlier answer.", whole(0, segments.LARGEST, 0))
_LIMIT = Parameter("limit", "How many at most.", whole(1, segments.MOST, segments.LIMIT))
_SEGMENT = only(
    {
        "id": WHOLE,
        "name": TEXT,
        "version": told(WHOLE, "Of the segment; a change names the one it has seen."),
        "rule": ANY_OBJECT,
        "sentence": told(TEXT, "The rule in words."),
        "excludes": told(FLAG, "Whether nobody in it gets anything, of any send."),
        "createdAt": TEXT,
        "changedAt": TEXT,
    }
)
_RULE: dict[str, Any] = {"all": [{"field": "platform", "op": "is", "value": "iOS"}]}
_SEGMENT_EXAMPLE = {
    "id": 7,
    "name": "iPhones",
    "version": 1,
    "rule": _RULE,
    "sentence": "platform is iOS",
    "excludes": False,
    "createdAt": "2026-01-01T10:00:00+00:00",
    "changedAt": "2026-01-01T10:00:00+00:00",
}
_NEXT = or_null(WHOLE)
_PLATFORMS = [platform.label for platform in Platform]
_ONE = "/segments/1/segments/{id}"

SEGMENTS = Family(
    name="Segments",
    says="Saved rules: who is meant, how many they are, which devices. Our own call; the rules"
    " are those of the dashboard.",
    prefix="Segment",
    security=("apiKey", "basic"),
    error=only({"error": only({"code": TEXT, "text": TEXT})}),
    words=WORDS,
    refusals=(400, 401, 403, 405, 429, 500, 503),
    body_refusals=(413,),
    calls=(
        Call(
            method="get",
            path="/segments/1/segments",
            title="List segments",
            parameters=(_APP_CODE, _AFTER, _LIMIT),
            answer=only({"segments": array(_SEGMENT), "next": _NEXT}),
            scopes=segments.READ,
            limit="50 a second for each application",
            answer_example={"segments": [_SEGMENT_EXAMPLE], "next": None},
        ),
        Call(
            method="post",
            path="/segments/1/segments",
            title="Create a segment",
            parameters=(_APP_CODE,),
            body=known(segments.SegmentBody),
            answer=_SEGMENT,
            refusals=(409,),
            scopes=segments.MANAGE,
            limit="50 a second for each application",
            example={"name": "iPhones", "rule": _RULE},
            answer_example=_SEGMENT_EXAMPLE,
        ),
        Call(
            method="get",
            path=_ONE,
            title="Read a segment",
            parameters=(_APP_CODE,),
            answer=_SEGMENT,
            refusals=(404,),
            scopes=segments.READ,
            limit="50 a second for each application",
            answer_example=_SEGMENT_EXAMPLE,
        ),
        Call(
            method="put",
            path=_ONE,
            title="Change a segment",
            says="Name and rule as a whole, by whoever has seen the version that there is.",
            parameters=(_APP_CODE,),
            body=known(segments.SegmentChange),
            answer=_SEGMENT,
            refusals=(404, 409),
            scopes=segments.MANAGE,
            limit="50 a second for each application",
            example={"name": "iPhones", "rule": _RULE, "version": 1},
            answer_example={**_SEGMENT_EXAMPLE, "version": 2},
        ),
        Call(
            method="delete",
            path=_ONE,
            title="Delete a segment",
            says="Refused while a campaign or another segment names it.",
            parameters=(_APP_CODE,),
            status=204,
            refusals=(404, 409),
            scopes=segments.MANAGE,
            limit="50 a second for each application",
        ),
        Call(
            method="get",
            path=f"{_ONE}/count",
            title="Count the devices of a segment",
            parameters=(
                _APP_CODE,
                Parameter(
                    "exactly",
                    "However long it takes; else perhaps an estimate.",
                    {**one_of("false", "true"), "default": "false"},
                ),
            ),
            answer=only(
                {
                    "total": WHOLE,
                    "exact": FLAG,
                    "byPlatform": only({}, dict.fromkeys(_PLATFORMS, WHOLE)),
                    "leftOut": array(only({"reason": TEXT, "devices": WHOLE})),
                },
                {
                    "error": told(NUMBER, "How far an estimate may be off, in 95 of 100 cases."),
                    "atMost": WHOLE,
                },
            ),
            refusals=(404, 409),
            scopes=segments.READ,
            limit="50 a second for each application",
            answer_example={
                "total": 412300,
                "exact": True,
                "byPlatform": {"iOS": 412300},
                "leftOut": [{"reason": "Notifications are off", "devices": 312}],
            },
        ),
        Call(
            method="get",
            path=f"{_ONE}/members",
            title="List the devices of a segment",
            says="Those a push reaches now, in the order of their numbers.",
            parameters=(_APP_CODE, _AFTER, _LIMIT),
            answer=only(
                {
                    "members": array(
                        only({"registrationId": UUID, "platform": one_of(*_PLATFORMS)})
                    ),
                    "next": _NEXT,
                }
            ),
            refusals=(404, 409),
            scopes=segments.READ,
            limit="50 a second for each application",
            answer_example={
                "members": [
                    {"registrationId": "8621824c-86b2-41f7-bf6f-20d3b1426005", "platform": "iOS"}
                ],
                "next": None,
            },
        ),
    ),
)
