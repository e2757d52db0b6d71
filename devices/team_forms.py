"""What people type about members of a team, and about their own new account."""

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator

from devices.models import Role


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class InvitationForm(forms.Form):
    """As what somebody is invited, and whether a mail goes out."""

    role = forms.ChoiceField(choices=Role.choices, initial=Role.MARKETER)
    email = forms.EmailField(
        label="E-mail",
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, mails: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].help_text = (
            "The link is mailed there, and shown to you once. Empty: hand it over yourself."
            if mails
            else "Proposed as the address of the account. This installation has no mail server: "
            "hand the link over yourself."
        )


class AccountForm(forms.Form):
    """The account of somebody who was invited."""

    username = forms.CharField(
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none"}),
        help_text="Everybody sees it beside what you change.",
    )
    email = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    password = forms.CharField(
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least eight characters, not a common one.",
    )

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exists():
            raise forms.ValidationError("Somebody has this name already. Choose another.")
        return name

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if User.objects.filter(email__iexact=email).exists():
            raise forms.ValidationError("An account has this address already: sign in with it.")
        return email

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if "password" in data:
            somebody = User(username=data.get("username", ""), email=data.get("email", ""))
            try:
                validate_password(data["password"], somebody)
            except forms.ValidationError as refusal:
                self.add_error("password", refusal)
        return data
