"""How staff get in."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

WRONG = "No account has this name and this password. Look at capital letters, and try again."


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by administrators; nobody signs up alone."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": WRONG,
        "email_password_mismatch": WRONG,
        "incorrect_password": "This is not your password.",
        "enter_current_password": "This is not your password.",
        "incorrect_code": "This code is wrong, or was good until a moment ago. Enter the newest.",
        "too_many_login_attempts": "Too many tries failed. Wait five minutes, then try again.",
        "duplicate_email": "Your account has this address already.",
        "email_taken": "Another account has this address.",
        "rate_limited": "Too many requests came at once. Wait a minute, then try again.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
