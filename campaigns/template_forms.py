"""What people type about templates and snippets."""

from django import forms

from campaigns import merging


class TemplateForm(forms.Form):
    """Its name, which the team sees alone."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        error_messages={"required": "Give the template a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Welcome"}),
    )


class SnippetForm(forms.Form):
    """A short text, and what the team calls it."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="For your team; it stands in the menu beside titles and texts.",
        error_messages={"required": "Give the snippet a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Greeting"}),
    )
    text = forms.CharField(
        label="Text",
        max_length=1000,
        strip=False,
        error_messages={"required": "Write the text that is put in."},
        widget=forms.Textarea(
            attrs={"rows": 4, "placeholder": 'Hi {{ first_name | default: "there" }},'}
        ),
        help_text="Merge tags are filled in for each person, as in titles and texts. Spaces at its"
        " ends are kept.",
    )

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"].replace("\r\n", "\n")
        if not text.strip():
            raise forms.ValidationError("Write the text that is put in.")
        if (wrong := merging.mistake(text)) is not None:
            raise forms.ValidationError(str(wrong))
        return text
