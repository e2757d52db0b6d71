"""The panel beside the send button: what is wrong with a draft, and whom it would reach."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db import OperationalError
from django.forms import BoundField
from django.http import HttpResponse
from django.shortcuts import render

from campaigns import (
    approving,
    audience,
    canaries,
    capping,
    channels,
    checking,
    composing,
    contents,
    counting,
    drafting,
    flows,
    lacking,
    previewing,
    resending,
    scheduling,
    stages,
    variants,
    winners,
)
from campaigns.approving import Standing, State
from campaigns.audience import AudienceSize
from campaigns.content_forms import ContentForm
from campaigns.errors import (
    CampaignError,
    ContentTooLargeError,
    IncompleteContentError,
    StaleDraftError,
)
from campaigns.forms import ComposerForm
from campaigns.languages import name_of
from campaigns.merging import Lack
from campaigns.models import Campaign
from campaigns.rendering import PROVIDER_OF
from campaigns.stages import Reach
from campaigns.targeting import sentence
from campaigns.timing import Kind, Timing
from devices.models import Application, Platform
from devices.permissions import ApplicationRequest

LIMIT = 4096  # bytes FCM and APNs take
STATUS = "campaigns/campaign_form.html#composer-status"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to mend: in the panel, and beside its field where it has one."""

    text: str
    field: BoundField | None = None
    where: str = ""  # of several contents


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of a cloud's limit the content takes on one platform."""

    platform: Platform
    size: int | None  # bytes; None: over the limit
    limit: int = LIMIT

    @property
    def css(self) -> str:
        if self.size is None:
            return "is-over"
        return "is-close" if self.size > self.limit * 0.9 else ""


@dataclass(frozen=True, slots=True)
class LanguageCount:
    """How many devices get the content in a language; "" is the default one."""

    language: str
    devices: int

    @property
    def name(self) -> str:
        return name_of(self.language) if self.language else "Everybody else"


@dataclass(frozen=True, slots=True)
class OldSdk:
    """Devices whose SDK shows no pushes inside the app as a content asks for."""

    style: str  # MODAL or BANNER
    devices: int
    percent: float  # of the audience


@dataclass(slots=True, kw_only=True)
class Review:
    """What the panel beside the send button says of a draft."""

    campaign: Campaign
    form: ComposerForm
    version: int  # what the browser's next save builds on
    mark: str  # "saved"; "refused": saved, not launched; "stale" and "faulty": not even saved
    faults: list[Fault] = field(default_factory=list)
    missing: str = ""  # what a launch still needs; no fault while somebody writes
    size: AudienceSize | None = None
    sentence: str = ""
    meters: list[Meter] = field(default_factory=list)
    texts: Reach | None = None  # whom its text messages could reach
    unready: list[tuple[Platform, int]] = field(default_factory=list)  # without a credential
    languages: list[LanguageCount] = field(default_factory=list)  # if there are several
    split: list[tuple[str, int]] = field(default_factory=list)  # likewise variants, in percent
    lacks: list[Lack] = field(default_factory=list)  # values that templates ask for
    old_sdks: list[OldSdk] = field(default_factory=list)
    capped: int | None = 0  # devices that the frequency cap leaves out; None: not counted in time
    approval: Standing | None = None  # for whoever reads it
    first: datetime | None = None  # turns, if it were launched now
    last: datetime | None = None

    @property
    def timing(self) -> str:
        return scheduling.sentence(Timing.of(self.campaign.timing))

    @property
    def tries_first(self) -> str:
        return canaries.sentence(self.campaign.canary)

    @property
    def finds_winner(self) -> str:
        told = winners.of(self.campaign)
        return winners.sentence(told) if told else ""

    @property
    def waits(self) -> bool:
        """Whether it goes out later than it is launched."""
        return Timing.of(self.campaign.timing).kind is not Kind.NOW


def form_faults(form: ComposerForm, names: Iterable[str]) -> list[Fault]:
    own = [
        Fault(str(text), form[name])
        for name in names
        for text in form.errors.get(name, ())  # in the order of the page
    ]
    if names is form.fields:
        own += _card_faults(form, "Card")
        own += [
            each for other in form.others for each in _card_faults(other, other.where + ", card")
        ]
    others = [
        Fault(str(text), other[name], other.where)
        for other in form.others
        for name, texts in other.errors.items()
        for text in texts
        if name in names
    ]
    return own + others


def _card_faults(form: ContentForm, where: str) -> list[Fault]:
    return [
        Fault(str(text), card[name], f"{where} {place}")
        for place, card in enumerate(form.cards, start=1)
        for name, texts in card.errors.items()
        for text in texts
    ]


def _fault(form: ComposerForm, refusal: CampaignError) -> Fault:
    name, content = getattr(refusal, "field", ""), getattr(refusal, "content", None)
    for other in form.others:
        if other.of.pk == content and (field := other.field_of(name)) is not None:
            return Fault(str(refusal), field, other.where)
    return Fault(str(refusal), form.field_of(name))


def _old_sdks(campaign: Campaign, form: ComposerForm, total: int) -> list[OldSdk]:
    """By the style that contents ask for inside the app; an own receiver has no such versions."""
    if campaign.application.sdk != Application.Sdk.INFOBIP or not total:
        return []
    styles = {content.options.get("in_app_style") for content in campaign.contents.all()}
    primary_only = form.cleaned_data["primary_only"]
    found = (
        (style, previewing.too_old(
            campaign.application, form.rule(), style, primary_only=primary_only
        ))
        for style in sorted(styles & set(previewing.SHOWS_INSIDE))
    )  # fmt: skip
    return [OldSdk(style, number, 100 * number / total) for style, number in found if number]


def _mistakes(campaign: Campaign, form: ComposerForm) -> list[Fault]:
    """What is wrong with the stored merge tags, beside their fields."""
    return [
        _fault(form, IncompleteContentError(str(wrong), field=name, content=content.pk))
        for content in campaign.contents.all()
        for name, wrong in checking.mistakes(content)
    ]


def _refused(form: ComposerForm, check: Callable[[], None]) -> list[Fault]:
    """What a check of what is stored has against a launch, beside its field."""
    try:
        check()
    except CampaignError as refusal:
        return [_fault(form, refusal)]
    return []


def _languages(campaign: Campaign, form: ComposerForm) -> list[LanguageCount]:
    """Devices of the typed audience by the language they are spoken to in."""
    spoken = contents.spoken(campaign)
    if len(spoken) == 1:
        return []
    primary_only = form.cleaned_data["primary_only"]
    reported = counting.by_language(campaign.application, form.rule(), primary_only=primary_only)
    counted = contents.by_content(spoken, reported or {})
    return [LanguageCount(*each) for each in counted.items()] if reported is not None else []


def review_of(
    campaign: Campaign, form: ComposerForm, *, mark: str, version: int | None = None
) -> Review:
    """Count, measure and check what is stored; count whom the form's audience reaches."""
    review = Review(
        campaign=campaign,
        form=form,
        version=campaign.version if version is None else version,
        mark=mark,
        faults=form_faults(form, form.fields),
        split=variants.split_of(campaign.split).named,
    )
    if mark != "faulty":
        review.faults += _mistakes(campaign, form)
        for check in (canaries.check, winners.check, resending.check):
            review.faults += _refused(form, partial(check, campaign))
    platforms: set[Platform] = set()
    if form.audience_is_valid():
        review.size = counting.live(
            campaign.application, form.rule(), primary_only=form.cleaned_data["primary_only"]
        )
        platforms = set(review.size.by_platform)
        review.sentence = sentence(form.rule())
        review.languages = _languages(campaign, form)
        review.old_sdks = _old_sdks(campaign, form, review.size.total)
        people = previewing.worst(campaign, form.rule())
        have = {provider for provider, _ in channels.credentials_of(campaign.application_id)}
        review.texts = stages.reach(campaign, form.rule())
        if review.texts is not None:
            review.faults += _refused(form, partial(flows.check_length, review.texts.length))
        review.capped = _capped(campaign, form)
        review.unready = [
            (platform, number)
            for platform, number in review.size.by_platform.items()
            if PROVIDER_OF[platform] not in have
        ]
        for platform in review.size.by_platform:
            try:
                sizes = checking.check_size(campaign, {platform}, people)
            except ContentTooLargeError as refusal:
                review.meters.append(Meter(platform, None))
                review.faults.append(_fault(form, refusal))
            else:
                review.meters += [Meter(platform, size) for size in sizes.values()]
        lacking_now = lacking.of(
            campaign, form.rule(), primary_only=form.cleaned_data["primary_only"]
        )
        review.lacks = list(lacking_now.lacks)
        review.size = review.size.without(lacking_now.unreached)
    try:
        checking.check_content(campaign)
        checking.check_delivery(campaign)
        review.first, review.last = scheduling.ends_of_turns(
            Timing.of(campaign.timing), scheduling.starts_at(campaign)
        )
        checking.check_options(campaign, platforms)
    except CampaignError as refusal:
        review.missing = str(refusal)
    return review


def _capped(campaign: Campaign, form: ComposerForm) -> int | None:
    """Of the audience, how many the cap would leave out now."""
    if campaign.transactional:
        return 0
    primary = form.cleaned_data["primary_only"]
    reached = audience.of(campaign.application, form.rule(), primary_only=primary)
    with suppress(OperationalError), counting.patience(stages.PATIENCE):
        return capping.full_now(campaign.application, reached.values("pk"))
    return None


def refused_by(review: Review, refusal: CampaignError) -> Review:
    """The same panel with what the engine refused."""
    fault = _fault(review.form, refusal)
    if isinstance(refusal, StaleDraftError):
        review.mark = "stale"
    elif all(known.text != fault.text for known in review.faults):
        review.faults.insert(0, fault)
    review.missing = ""
    return review


def panel(request: ApplicationRequest, review: Review) -> HttpResponse:
    review.approval = standing_of(request, review.campaign)
    return render(request, STATUS, {"review": review, "campaign": review.campaign})


def standing_of(request: ApplicationRequest, campaign: Campaign) -> Standing:
    """Where a draft stands for whoever reads it."""
    if not request.application.needs_approval:
        return Standing(State.FREE, request.user)
    campaign.application = request.application
    return approving.standing(campaign, composing.rule_now(campaign), request.user)


def version_in(sent: Mapping[str, str]) -> int:
    """The version of the draft that a browser shows; 0 where it does not say."""
    text = sent.get("draft_version", "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def save_typed(
    request: ApplicationRequest, campaign: Campaign, form: ComposerForm
) -> tuple[Campaign, Review | None]:
    """Save what was typed. Where it cannot be saved, the review that says why."""
    version = version_in(request.POST)
    if not form.is_valid():
        return campaign, review_of(campaign, form, mark="faulty", version=version)
    try:
        saved = drafting.save_draft(
            campaign,
            version=version,
            draft=form.draft(),
            content=form.content(),
            others={other.of.pk: other.content() for other in form.others},
            user=request.user,
        )
    except CampaignError as refusal:
        # The next save must build on the same version, or it would overwrite theirs unseen.
        review = review_of(campaign, form, mark="refused", version=version)
        return campaign, refused_by(review, refusal)
    saved.application = campaign.application
    return saved, None
