"""What an administrator should do about an answer that blames our credential, in one sentence.

Source: contract/providers.md 4.2 and 4.5.
"""

from __future__ import annotations

from providers import advice
from providers.base import Outcome

_WHERE = "in AppGallery Connect under Project settings, General information"
_SECRET = (
    f"Huawei does not accept this client secret for the app {{who}}: copy it anew {_WHERE}, and"
    " enter it here."
)
_APP = f"Huawei has no app {{who}}: enter the app ID as it stands {_WHERE}."
_LOGIN = (
    f"Huawei does not accept this app ID and client secret together: copy both {_WHERE}, and"
    " enter them here."
)
_TOKEN = (
    "Huawei does not accept a token that it has just given out: see that Push Kit is enabled for"
    " the app {who} in AppGallery Connect, and that the app ID is the one the secret belongs to."
)
_ACCOUNT = (
    "Huawei does not accept what this service account signs: see that its key was not deleted and"
    " that its file is of the project {who}, or enter the file of a new one."
)
_PROJECT = (
    "Huawei has no project {who}: make a service account in the project of the app in Huawei's API"
    " console, and enter its file here."
)
_OTHERS = (
    "Huawei says that the tokens of these devices are not of the app {who}: enter the credential of"
    " the app that is installed on them, and see that Push Kit is enabled for it."
)

BY_CODE = {
    "80100018": "Huawei is still reviewing the signature of your messages: wait until the console"
    " shows that it is approved, and test this credential again.",
    "80200001": _TOKEN,
    "80200003": _TOKEN,
    "80200005": _TOKEN,
    "80300002": _OTHERS,
    "80300007": _OTHERS,
    "80300011": "Huawei does not let this app send urgent messages: apply for that right in"
    " AppGallery Connect under Push Kit.",
    "80300013": "The address for receipts in Huawei's console is wrong: enter the one that this"
    " credential's page shows, and its receipt ID here.",
    "80300036": "Huawei says that our token lives too long: set this server's clock, for example"
    " with NTP.",
    "80300037": "Huawei has stopped this app's messages for a while, because of their number or of"
    " complaints: read Huawei's notice in AppGallery Connect, and test this credential again when"
    " it is lifted.",
    "HTTP 401": _TOKEN,
    "HTTP 403": _TOKEN,
    "HTTP 404": _APP,
}
OF_ACCOUNTS = {
    "80200001": _ACCOUNT,
    "80200003": _ACCOUNT,
    "80200005": _ACCOUNT,
    "HTTP 401": _ACCOUNT,
    "HTTP 403": _ACCOUNT,
    "HTTP 404": _PROJECT,
}


SIGNED_AT_A_WRONG_TIME = {"80200001", "80200005", "80300036"}


def for_answer(outcome: Outcome, *, who: str, signed: bool, off: float | None = None) -> str:
    """`who` is the app ID, or the project where a service account `signed`.

    `off`: seconds our clock is ahead of Huawei's, where its answer told.
    """
    if signed and outcome.reason[:8] in SIGNED_AT_A_WRONG_TIME and advice.is_off(off):
        return advice.clock("Huawei", off)
    for code in (outcome.reason[:8], f"HTTP {outcome.status}"):
        sentence = (OF_ACCOUNTS.get(code) if signed else None) or BY_CODE.get(code, "")
        if sentence:
            return sentence.format(who=who)
    return ""


def for_login(reason: str, *, who: str) -> str:
    """When no token is given out: Huawei's description names what is wrong, if it is in the mood.

    As in `{"error":1101,"sub_error":12304,"error_description":"invalid client_secret"}`.
    """
    told = reason.lower().replace("_", " ")
    if "client secret" in told:
        sentence = _SECRET
    elif "client id" in told or "app id" in told or "appid" in told:
        sentence = _APP
    else:
        sentence = _LOGIN
    return sentence.format(who=who)
