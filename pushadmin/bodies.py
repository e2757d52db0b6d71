"""Bodies that come without their length: in chunks over HTTP/1.1, or in frames over HTTP/2.

Django reads as many bytes as Content-Length says, so nothing where a client streams: its request
would be refused for want of a body, or answered as though it had said nothing.
"""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, TypeAlias

Environment: TypeAlias = dict[str, Any]
Application: TypeAlias = Callable[[Environment, Any], Iterable[bytes]]

BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def measured(application: Application, most: int) -> Application:
    """Read a body of unknown length before anybody asks for it, if the server knows its end.

    One of more than `most` bytes is let go of: it is as long as nothing here may be, and empty.
    Of one that was cut off the server hands over what came; whoever reads JSON finds out.
    """

    def answer(environment: Environment, start_response: Any) -> Iterable[bytes]:
        if _is_unmeasured(environment):
            body = environment["wsgi.input"].read(most + 1)
            environment["CONTENT_LENGTH"] = str(len(body))
            environment["wsgi.input"] = BytesIO(body if len(body) <= most else b"")
        return application(environment, start_response)

    return answer


def _is_unmeasured(environment: Environment) -> bool:
    return (
        not environment.get("CONTENT_LENGTH")
        and environment.get("wsgi.input_terminated", False)
        and environment["REQUEST_METHOD"] not in BODILESS
    )
