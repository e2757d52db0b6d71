"""Web Push: VAPID, aes128gcm. Source: contract/providers.md 5."""

from providers.webpush.payload import WebPushPayload
from providers.webpush.provider import RATE, WebPushProvider
from providers.webpush.vapid import Vapid

__all__ = ["RATE", "Vapid", "WebPushPayload", "WebPushProvider"]
