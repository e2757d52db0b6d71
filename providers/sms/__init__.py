"""SMS gateways: one face, in the shapes of Infobip and Twilio. Source: contract/providers.md 6."""

from providers.sms.parts import MOST_PARTS, Encoding, Parts, Price, TooManyParts, parts
from providers.sms.provider import SmsPayload, SmsProvider
from providers.sms.reports import Report, State

__all__ = [
    "MOST_PARTS",
    "Encoding",
    "Parts",
    "Price",
    "Report",
    "SmsPayload",
    "SmsProvider",
    "State",
    "TooManyParts",
    "parts",
]
