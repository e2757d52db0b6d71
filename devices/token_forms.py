"""What people type about keys for user tokens."""

from typing import Any, cast

from django import forms

from devices.models import Application

SHORTEST = 32  # characters: HS256 wants 256 bits


class TokenKeyForm(forms.Form):
    """A key that a server has already, or nothing: then it is made."""

    kid = forms.CharField(
        label="Key ID", required=False, max_length=100,
        help_text="What your server writes into each token as kid. Empty: one is made.",
    )  # fmt: skip
    secret = forms.CharField(
        label="Secret", required=False, min_length=SHORTEST, max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="What your server signs with today, if apps shall come here without a change "
        "there. Empty: one is made and shown once.",
    )  # fmt: skip

    def __init__(self, *args: Any, application: Application, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.application = application

    def clean_kid(self) -> str:
        kid = cast("str", self.cleaned_data["kid"])
        if not kid.isprintable():
            raise forms.ValidationError("A key ID holds printable characters alone.")
        if self.application.user_token_keys.filter(kid=kid).exists():
            raise forms.ValidationError("This application has a key of this ID already.")
        return kid
