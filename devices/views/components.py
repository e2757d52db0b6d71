"""Every component of the design on one page, for whoever writes pages; only with DEBUG."""

from datetime import timedelta

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from pushadmin.templatetags.looks import STATES
from pushadmin.web import SIZES, Pager, address


class SampleForm(forms.Form):
    name = forms.CharField(max_length=100)
    text = forms.CharField(widget=forms.Textarea, help_text="What people read first.")
    language = forms.ChoiceField(choices=[("", "Every language"), ("de", "German")], required=False)
    primary_only = forms.BooleanField(
        required=False, help_text="Only the device somebody uses most."
    )
    on_tap = forms.ChoiceField(
        choices=[("app", "Open the app"), ("link", "Open a deep link")],
        widget=forms.RadioSelect,
        initial="app",
    )
    display = forms.ChoiceField(
        choices=[("ios", "iOS"), ("android", "Android"), ("huawei", "Huawei")],
        widget=forms.RadioSelect,
        initial="ios",
    )


@login_required
def components(request: HttpRequest) -> HttpResponse:
    start = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=30)
    sent = [round(8000 * (1 - (n / 30 - 0.4) ** 2)) for n in range(30)]
    minutes = {
        "kind": "area",
        "label": "Sent, delivered and seen a minute",
        "x": {"type": "time", "label": "Minute"},
        "points": [(start + timedelta(minutes=n)).isoformat() for n in range(30)],
        "series": [
            {"name": "Sent", "colour": "sent", "values": sent},
            {"name": "Delivered", "colour": "delivered", "values": [n * 86 // 100 for n in sent]},
            {"name": "Seen", "colour": "seen", "values": [n * 12 // 100 for n in sent]},
        ],
    }
    context = {
        "states": STATES,
        "some_states": ["sending", "scheduled", "paused", "done", "draft"],
        "line": [value % 700 for value in sent],
        "minutes": minutes,
        "now": timezone.now() - timedelta(minutes=7),
        "soon": timezone.now() + timedelta(seconds=10),
        "form": SampleForm({"text": "30 % off today", "on_tap": "app", "display": "ios"}),
        "pager": Pager(
            rows=[],
            text="128 campaigns",
            size=50,
            sizes=[(size, address(request, rows=size)) for size in SIZES],
            previous_url="",
            next_url=address(request, after=78),
        ),
    }
    return render(request, "_components.html", context)
