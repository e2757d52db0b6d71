"""What a browser complains of."""

from playwright.sync_api import ConsoleMessage, Page, Request, Response

# What htmx says of a request that a newer one replaced (hx-sync), which is no fault. After any
# other end of a request it says more: "htmx:sendError", "htmx:timeout", "htmx:responseError".
CANCELLED = ("htmx:afterRequest,", "htmx:sendAbort,")


class Complaints:
    """What the browser complained of while a test ran.

    Whoever tests an error says so: `complaints.expect("answer 404")`.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.expected: list[str] = []

    def expect(self, part: str) -> None:
        """Forgive complaints that hold this text."""
        self.expected.append(part)

    def listen(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.heard.append(f"page error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        if message.text.startswith(CANCELLED):
            return
        if message.type in {"error", "warning"}:
            self.heard.append(f"console {message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page went on before the answer came
            self.heard.append(f"request failed: {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.heard.append(f"answer {response.status}: {response.url}")

    def unexpected(self) -> list[str]:
        return [line for line in self.heard if not any(part in line for part in self.expected)]
