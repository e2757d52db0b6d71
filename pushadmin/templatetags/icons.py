"""`{% icon "send" %}`: an icon of @tabler/icons as inline SVG, in the colour of the text."""

import re
from functools import cache

from django import template
from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
DRAWING = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)
INVISIBLE = '<path stroke="none" d="M0 0h24v24H0z" fill="none"/>'
LOOKS = {
    "outline": 'fill="none" stroke="currentColor" stroke-width="2" '
    'stroke-linecap="round" stroke-linejoin="round"',
    "filled": 'fill="currentColor"',
}


@register.simple_tag
def icon(name: str, label: str = "", css: str = "", style: str = "outline") -> SafeString:
    """The SVG of an icon. With a label, screen readers say it; without, they pass over it."""
    return format_html(
        '<svg class="icon{}" viewBox="0 0 24 24" width="24" height="24" {} {}>{}</svg>',
        f" {css}" if css else "",
        mark_safe(LOOKS[style]),
        format_html('role="img" aria-label="{}"', label)
        if label
        else mark_safe('aria-hidden="true"'),
        drawing(name, style),
    )


@cache
def drawing(name: str, style: str) -> SafeString:
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise template.TemplateSyntaxError(f"{name!r} is no name of an icon.")
    path = settings.NODE_MODULES / "@tabler/icons/icons" / style / f"{name}.svg"
    try:
        source = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise template.TemplateSyntaxError(
            f"@tabler/icons has no {style} icon {name!r} (looked in {path.parent}); "
            "if the folder is missing, run `npm ci`."
        ) from None
    match = DRAWING.search(source)
    if match is None:
        raise template.TemplateSyntaxError(f"{path} is no SVG.")
    lines = (line.strip() for line in match[1].splitlines())
    return mark_safe("".join(line for line in lines if line != INVISIBLE))
