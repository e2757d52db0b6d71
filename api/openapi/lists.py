"""Our own calls about lists of people and devices (api/lists.py)."""

from api import lists, segments
from api.openapi.calls import (
    FLAG,
    TEXT,
    UUID,
    WHOLE,
    Call,
    Family,
    Parameter,
    Words,
    array,
    known,
    only,
    or_null,
    told,
    whole,
)

_NAME = {
    "name": "What people call it; of its own inside the application.",
    "doNotContact": "Whether nobody on it gets anything, of any send: one list of an application."
    " Left out: as it is, no at first.",
}
_NAMES = "None of them may be known: whoever is nobody comes back."
WORDS: Words = {
    lists.ListBody: _NAME,
    lists.MembersBody: {
        "externalIds": f"Of people. {_NAMES}",
        "phones": f"Of people, with their country code. {_NAMES}",
        "emails": f"Of people. {_NAMES}",
        "registrationIds": f"Of single devices of this application. {_NAMES}",
    },
}

_APP_CODE = Parameter("AppCode", "The code of the application.", TEXT, "header", required=True)
_AFTER = Parameter("after", "The `next` of an earlier answer.", whole(0, segments.LARGEST, 0))
_LIMIT = Parameter("limit", "How many at most.", whole(1, segments.MOST, segments.LIMIT))
_LIST = only(
    {
        "id": told(WHOLE, "What a rule names it by."),
        "name": TEXT,
        "people": told(WHOLE, "Who stand on it with all their devices."),
        "devices": told(WHOLE, "Which stand on it themselves."),
        "doNotContact": told(FLAG, "Whether nobody on it gets anything, of any send."),
        "createdAt": TEXT,
        "changedAt": TEXT,
    }
)
_EXAMPLE = {
    "id": 7,
    "name": "Beta testers",
    "people": 2,
    "devices": 1,
    "doNotContact": False,
    "createdAt": "2026-01-01T10:00:00+00:00",
    "changedAt": "2026-01-01T10:00:00+00:00",
}
_MEMBER = only(
    {"addedAt": TEXT},
    {
        "person": only({"externalId": or_null(TEXT), "phones": array(TEXT), "emails": array(TEXT)}),
        "registrationId": UUID,
    },
)
_UNKNOWN = told(
    only({}, dict.fromkeys(lists.NAMES.values(), array(TEXT))), "Names of nobody, as they came."
)
_NAMED = {"externalIds": ["u-1"], "phones": ["491512345678"]}
_ONE = "/lists/1/lists/{id}"
_LIMITED = "50 a second for each application, with those about segments"

LISTS = Family(
    name="Lists",
    says="People and devices that somebody put together; rules ask who is on them. Our own call.",
    prefix="List",
    security=("apiKey", "basic"),
    error=only({"error": only({"code": TEXT, "text": TEXT})}),
    words=WORDS,
    refusals=(400, 401, 403, 405, 429, 500, 503),
    body_refusals=(413,),
    calls=(
        Call(
            method="get",
            path="/lists/1/lists",
            title="List lists",
            parameters=(_APP_CODE, _AFTER, _LIMIT),
            answer=only({"lists": array(_LIST), "next": or_null(WHOLE)}),
            scopes=segments.READ,
            limit=_LIMITED,
            answer_example={"lists": [_EXAMPLE], "next": None},
        ),
        Call(
            method="post",
            path="/lists/1/lists",
            title="Create a list",
            says="Nobody is on it yet.",
            parameters=(_APP_CODE,),
            body=known(lists.ListBody),
            answer=_LIST,
            refusals=(409,),
            scopes=segments.MANAGE,
            limit=_LIMITED,
            example={"name": "Beta testers"},
            answer_example={**_EXAMPLE, "people": 0, "devices": 0},
        ),
        Call(
            method="get",
            path=_ONE,
            title="Read a list",
            parameters=(_APP_CODE,),
            answer=_LIST,
            refusals=(404,),
            scopes=segments.READ,
            limit=_LIMITED,
            answer_example=_EXAMPLE,
        ),
        Call(
            method="put",
            path=_ONE,
            title="Change a list",
            says="Its name, and whether nobody on it gets anything.",
            parameters=(_APP_CODE,),
            body=known(lists.ListBody),
            answer=_LIST,
            refusals=(404, 409),
            scopes=segments.MANAGE,
            limit=_LIMITED,
            example={"name": "Testers"},
            answer_example={**_EXAMPLE, "name": "Testers"},
        ),
        Call(
            method="delete",
            path=_ONE,
            title="Delete a list",
            says="Refused while a campaign or a segment names it.",
            parameters=(_APP_CODE,),
            status=204,
            refusals=(404, 409),
            scopes=segments.MANAGE,
            limit=_LIMITED,
        ),
        Call(
            method="get",
            path=f"{_ONE}/members",
            title="List the members of a list",
            says="In the order in which they were added.",
            parameters=(_APP_CODE, _AFTER, _LIMIT),
            answer=only({"members": array(_MEMBER), "next": or_null(WHOLE)}),
            refusals=(404,),
            scopes=segments.READ,
            limit=_LIMITED,
            answer_example={
                "members": [
                    {
                        "person": {
                            "externalId": "u-1",
                            "phones": ["491512345678"],
                            "emails": [],
                        },
                        "addedAt": "2026-01-01T10:00:00+00:00",
                    }
                ],
                "next": None,
            },
        ),
        Call(
            method="post",
            path=f"{_ONE}/members",
            title="Add members to a list",
            says="Up to 10,000 names together; it may be repeated without harm.",
            parameters=(_APP_CODE,),
            body=known(lists.MembersBody),
            answer=only(
                {
                    "added": WHOLE,
                    "before": told(WHOLE, "Who were on it already."),
                    "unknown": _UNKNOWN,
                }
            ),
            refusals=(404,),
            scopes=segments.MANAGE,
            limit=_LIMITED,
            example=_NAMED,
            answer_example={"added": 1, "before": 0, "unknown": {"phones": ["491512345678"]}},
        ),
        Call(
            method="post",
            path=f"{_ONE}/members/remove",
            title="Remove members from a list",
            says="Up to 10,000 names together; it may be repeated without harm.",
            parameters=(_APP_CODE,),
            body=known(lists.MembersBody),
            answer=only({"removed": WHOLE, "unknown": _UNKNOWN}),
            refusals=(404,),
            scopes=segments.MANAGE,
            limit=_LIMITED,
            example=_NAMED,
            answer_example={"removed": 1, "unknown": {"phones": ["491512345678"]}},
        ),
    ),
)
