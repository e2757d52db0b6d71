"""The two error bodies of contract/push.md 1.2, whole, in each status; 500 and 503 have their own
tests (tests/api/test_faults_of_ours.py).
"""

from typing import Any

import pytest

from api.infobip.push_family import LARGEST
from tests.api.apps import refusal
from tests.api.systems import System, make_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

NEWER = {  # status → description, action
    400: (
        "Request cannot be processed.",
        "Check the syntax, violations and adjust the request.",
    ),
    401: (
        "The request lacks valid authentication credentials for the requested resource.",
        "Check the resources and adjust authentication credentials.",
    ),
    403: (
        "Insufficient permissions to access the requested resource.",
        "Repeat the request with new or different credentials.",
    ),
    404: ("The requested resource could not be found.", "Check the path."),
    405: (
        "The requested resource does not support this method.",
        "Use a method of the header Allow.",
    ),
    413: ("The request is too large.", "Send fewer messages in a request."),
    415: ("The content type of the request is not supported.", "Send application/json."),
    429: (
        "Too many requests sent.",
        "Check request rate limit specified in the API endpoint documentation resource.",
    ),
}
OLDER = {
    400: ("BAD_REQUEST", "{member} must not be null"),
    401: ("UNAUTHORIZED", "Unauthorized"),
    403: ("FORBIDDEN", "Forbidden"),
    404: ("NOT_FOUND", "Not found"),
    405: ("METHOD_NOT_ALLOWED", "This path answers POST"),
    413: ("BAD_REQUEST", f"Request body should be at most {LARGEST} bytes"),
    415: ("UNSUPPORTED_MEDIA_TYPE", "Send application/json"),
    429: ("TOO_MANY_REQUESTS", "Too many requests"),
}
MEMBER = {  # that each call needs first
    "/push/3/messages": "messages",
    "/push/2/message/single": "from",
    "/push/2/message/multi": "messages",
    "/omni/1/advanced": "destinations",
    "/omni/1/text": "destinations",
}


def provoke(system: System, path: str, status: int, settings: Any) -> Any:
    """The answer to a request that is refused with this status."""
    match status:
        case 401:
            return system.post(path, {}, Authorization="")
        case 403:
            return system.post(path, {}, Authorization="App reader")
        case 404:
            return system.post(f"{path}/nothing", {})
        case 405:
            return system.get(path)
        case 413:
            return system.post(path, b" " * (LARGEST + 1))
        case 415:
            return system.client.post(
                path, "<a/>", content_type="application/xml", headers=system.headers
            )
        case 429:
            settings.PUSH_CALLS_PER_SECOND = settings.OLDER_PUSH_CALLS_PER_SECOND = 0
    return system.post(path, {})


@pytest.mark.parametrize("status", NEWER)
@pytest.mark.parametrize("path", MEMBER)
def test_an_error_is_the_row_of_the_contract(
    system: System, settings: Any, path: str, status: int
) -> None:
    make_key("reader", scopes=["people:read"])
    answer = provoke(system, path, status, settings)

    if path.startswith("/push/3/"):
        description, action = NEWER[status]
        violation = {"property": MEMBER[path], "violation": "must not be null"}
        expected: dict[str, Any] = {
            "errorCode": f"E{status}",
            "description": description,
            "action": action,
            "violations": [violation] if status == 400 else [],
            "resources": [],
        }
    else:
        code, text = OLDER[status]
        expected = refusal(code, text.format(member=MEMBER[path]))
    assert (answer.status_code, answer.json()) == (status, expected)
    assert answer["Content-Type"] == "application/json"
    assert int(answer["Content-Length"]) == len(answer.content)
    assert "Content-Encoding" not in answer
    assert ("Retry-After" in answer) is (status == 429)
