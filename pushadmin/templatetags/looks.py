"""How states, counts, shares and times look: the same on every page."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from pushadmin.templatetags.icons import icon

register = template.Library()

# state → word, icon of @tabler/icons, colour of pushadmin.css
STATES = {
    # campaigns
    "draft": ("Draft", "pencil", ""),
    "held": ("Starts in seconds", "hourglass-high", "is-blue"),
    "scheduled": ("Scheduled", "calendar", "is-blue"),
    "pending": ("Scheduled", "calendar", "is-blue"),
    "sending": ("Sending", "loader-2", "is-accent is-moving"),
    "paused": ("Paused", "player-pause", "is-amber"),
    "done": ("Done", "check", "is-green"),
    "cancelled": ("Cancelled", "ban", ""),
    "archived": ("Archived", "archive", ""),
    # messages
    "waiting": ("Waiting", "clock", ""),
    "checked": ("Checked", "checklist", "is-blue"),
    "accepted": ("Accepted", "cloud-check", "is-blue"),
    "delivered": ("Delivered", "check", "is-green"),
    "seen": ("Seen", "eye", "is-green"),
    "clicked": ("Tapped", "hand-finger", "is-green"),
    "failed": ("Failed", "x", "is-red"),
    "expired": ("Expired", "clock-x", "is-amber"),
    "unknown": ("Unknown", "help", "is-amber"),
    # devices
    "reachable": ("Reachable", "bell", "is-green"),
    "muted": ("Notifications off", "bell-off", "is-amber"),
    "disabled": ("Switched off", "ban", ""),
    "closed": ("Address closed", "plug-x", "is-red"),
    "tokenless": ("No address", "plug-x", "is-amber"),
    # credentials
    "untested": ("Not tested", "question-mark", ""),
    "working": ("Works", "check", "is-green"),
    "refused": ("Refused", "alert-triangle", "is-red"),
    "ending": ("Ends soon", "hourglass-high", "is-amber"),
    # webhooks
    "taken": ("Taken", "check", "is-green"),
    "retrying": ("Tried again", "refresh", "is-amber"),
    "given-up": ("Given up", "x", "is-red"),
    # imports and other long work
    "running": ("Running", "loader-2", "is-accent is-moving"),
    "stopped": ("Stopped", "alert-triangle", "is-red"),
    "enabled": ("Enabled", "check", "is-green"),
    # the installation
    "alive": ("Alive", "heartbeat", "is-green"),
    "silent": ("Silent", "plug-x", "is-red"),
    "answers": ("Answers", "check", "is-green"),
    "away": ("Does not answer", "plug-x", "is-red"),
    "resting": ("Rests", "clock-pause", "is-amber"),
}


@register.simple_tag
def state(name: str, word: str = "") -> SafeString:
    """A chip with icon and word. `word` says it in other words than STATES does."""
    try:
        usual, drawing, colour = STATES[name]
    except KeyError:
        raise template.TemplateSyntaxError(f"looks.STATES does not know {name!r}.") from None
    return format_html(
        '<span class="state{}">{}{}</span>',
        f" {colour}" if colour else "",
        icon(drawing),
        word or usual,
    )


@register.filter
def coded(text: str) -> SafeString:
    """What stands between backticks as code."""
    parts = enumerate(text.split("`"))
    return format_html_join(
        "",
        "{}",
        ((format_html("<code>{}</code>", part) if at % 2 else part,) for at, part in parts),
    )


@register.filter
def inside(label: str) -> str:
    """A label in the middle of a sentence: External ID → external ID; API calls stay so."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


@register.filter
def count(number: float | None) -> str:
    """1284310 → 1,284,310; nothing known → an en dash."""
    return "–" if number is None else f"{number:,.0f}"


@register.filter
def rate(share: float | None) -> str:
    """A share of 0 to 1 as a percentage with one decimal; nothing known → an en dash."""
    return "–" if share is None else f"{share * 100:.1f} %"


@register.filter
def of(part: int | None, whole: int | None) -> float | None:
    """The share one count is of another: `{{ seen|of:delivered|rate }}`. None of nothing."""
    return part / whole if whole and part is not None else None


@register.filter
def size(number: int | None) -> str:
    """Bytes for people: 812 B, 84.2 KB, 1.3 MB."""
    if number is None:
        return "–"
    if number < 1000:
        return f"{number} B"
    amount = float(number)
    for unit in ("KB", "MB", "GB"):
        amount /= 1000
        if amount < 1000 or unit == "GB":
            break
    return f"{amount:,.1f} {unit}"


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds for people, in two units at most: 48 h, 1 min 12 s."""
    if seconds is None:
        return "–"
    rest = round(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if unit == "d" and rest < 3 * length:
            continue  # 48 h reads better than 2 d
        amount, rest = divmod(rest, length)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2]) or "0 s"


@register.filter
def milliseconds(seconds: float) -> str:
    """Short times for people: 0.04 ms, 2.4 ms, 12 ms."""
    amount = seconds * 1000
    digits = 2 if amount < 1 else 1 if amount < 10 else 0
    return f"{amount:,.{digits}f} ms"


@register.simple_tag
def moment(at: datetime | None, style: str = "") -> SafeString | str:
    """A time with its zone. `ago` says how long it is past; ui.js shows it in the reader's zone,
    whose name `zone` writes beside it: for where a time of another zone stands next to it.
    """
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    full = f"{utc:%a} {utc.day} {utc:%b %Y, %H:%M:%S} UTC"
    text = ago(at) if style == "ago" else f"{utc:%a} {utc.day} {utc:%b %Y, %H:%M} UTC"
    return format_html(
        '<time datetime="{}" title="{}" data-moment="{}">{}</time>',
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"),
        full,
        style,
        text,
    )


@register.simple_tag
def day(on: date | None) -> SafeString | str:
    """A calendar day, which belongs to no zone."""
    if on is None:
        return "–"
    return format_html(
        '<time datetime="{}">{} {} {}</time>', on.isoformat(), f"{on:%a}", on.day, f"{on:%b %Y}"
    )


def ago(at: datetime) -> str:
    passed = timezone.now() - at
    if passed < timedelta(0):
        return f"in {duration(-passed.total_seconds())}"
    if passed < timedelta(seconds=45):
        return "just now"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if passed.total_seconds() >= length:
            return f"{passed.total_seconds() // length:.0f} {unit} ago"
    return "1 min ago"


@register.simple_tag
def bar(share: float | None, css: str = "is-sent") -> SafeString:
    """A bar that is filled to a share of 0 to 1. The number stands beside it, so it is silent."""
    width = min(max(share or 0.0, 0.0), 1.0) * 100
    return format_html(
        '<svg class="bar {}" aria-hidden="true"><rect width="{}%" height="100%" rx="3"/></svg>',
        css,
        f"{width:.1f}",
    )


@register.simple_tag
def spark(values: Sequence[float], label: str, css: str = "") -> SafeString | str:
    """A line of small values, from zero. `label` says for screen readers what it shows."""
    if len(values) < 2:
        return ""
    top = max(values) or 1
    step = 100 / (len(values) - 1)
    points = [(f"{n * step:.2f}", f"{31 - 30 * value / top:.2f}") for n, value in enumerate(values)]
    line = format_html_join(" ", "{},{}", points)
    return format_html(
        '<svg class="spark{}" viewBox="0 0 100 32" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><path d="M0,32 L{} L100,32 Z"/><polyline points="{}"/></svg>',
        f" {css}" if css else "",
        label,
        line,
        line,
    )
