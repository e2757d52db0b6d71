"""What people type about templates."""

from django import forms


class TemplateForm(forms.Form):
    """Its name, which the team sees alone."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        error_messages={"required": "Give the template a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Welcome"}),
    )
