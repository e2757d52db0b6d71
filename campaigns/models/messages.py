"""What became of it: the frozen audience, and one row per device and step."""

import uuid
from collections.abc import Collection

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Now

from campaigns.ids import id_range
from campaigns.models.campaigns import Campaign, RepeatPolicy
from campaigns.models.reasons import Reason
from devices.models import Application, Platform, Registration


def make_bulk_id() -> str:
    return str(uuid.uuid4())


class Medium(models.IntegerChoices):
    """By which way a message goes: a push to a platform, or a text message."""

    ANDROID = Platform.ANDROID.value, "Android"
    IOS = Platform.IOS.value, "iOS"
    HUAWEI = Platform.HUAWEI.value, "Huawei"
    WEB = Platform.WEB.value, "Web"
    SMS = 9, "SMS"


class Bulk(models.Model):
    """One content to one audience, by one step, at one time."""

    class Status(models.TextChoices):
        PENDING = "pending", "Scheduled"
        SENDING = "sending", "Sending"
        PAUSED = "paused", "Paused"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"

    class Origin(models.TextChoices):
        CAMPAIGN = "campaign", "Campaign"
        API = "api", "API"
        INSIDER = "insider", "Insider's API"  # its callers ask for no reports
        TEST = "test", "Test send"

    SUBMITTED = (Origin.API, Origin.INSIDER)  # by other systems
    UNFINISHED = (Status.PENDING, Status.SENDING, Status.PAUSED)

    bulk_id = models.CharField(max_length=100, default=make_bulk_id)  # public, not unique
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="bulks")
    campaign = models.ForeignKey(
        Campaign, null=True, on_delete=models.CASCADE, related_name="bulks"
    )
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.CAMPAIGN)
    # of several steps; NULL: there is only this one
    flow = models.ForeignKey(
        "campaigns.Flow", null=True, on_delete=models.CASCADE, related_name="bulks"
    )
    step = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    status_reason = models.CharField(max_length=500, blank=True, default="")  # why it stopped
    content = models.JSONField(default=list)  # [{"language", "variant", …PushNotification}]
    rule = models.JSONField(default=dict)  # as it stood at launch
    primary_only = models.BooleanField(default=False)
    ttl = models.PositiveIntegerField(default=172_800)  # seconds from starts_at
    repeat_policy = models.CharField(
        max_length=12, choices=RepeatPolicy, default=RepeatPolicy.WHEN_REFUSED
    )
    throttle = models.PositiveIntegerField(null=True)  # messages a second
    pace = models.FloatField(null=True)  # messages a second, evenly spread from the start
    # Only then may it leave (campaigns/windows.py): {"days", "from", "to"}; {}: always.
    window = models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)
    # Who gets which variant (campaigns/variants.py): {"shares", "holdout"}; {}: all the first.
    split = models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)
    # How it goes out, as it stood at launch and, for the application's settings, when it was
    # frozen: {"timing", "canary", "winner", "transactional", "quiet", "cap", "zone"}.
    delivery = models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)
    starts_at = models.DateTimeField()  # never changes: ids are made of it
    span = models.PositiveIntegerField(db_default=0, default=0)  # seconds until the last turn
    expires_at = models.DateTimeField(null=True)  # when to expire what got no sign; NULL: never
    audience = models.PositiveBigIntegerField(default=0)  # devices it is sent to
    left_out = models.PositiveBigIntegerField(default=0)  # devices that matched, and may not get it
    tells = models.PositiveSmallIntegerField(default=0, db_default=0)  # its request's: WebhookEvent
    created_at = models.DateTimeField(db_default=Now())
    frozen_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "step", "starts_at"],
                name="a_campaign_starts_a_step_once_at_a_time",
            ),
        ]
        indexes = [
            # the timetable: what is not finished
            models.Index(
                fields=["status", "starts_at"],
                condition=Q(status__in=["pending", "sending", "paused"]),
                name="bulk_unfinished",
            ),
            models.Index(fields=["bulk_id"], name="bulk_by_public_id"),  # APIs
            # the timetable: whose time to live has ended
            models.Index(
                fields=["expires_at"], condition=Q(expires_at__isnull=False), name="bulk_expires"
            ),
            models.Index(fields=["application", "-id"], name="bulk_of_application"),  # overview
        ]

    def __str__(self) -> str:
        return self.bulk_id


class Chunk(models.Model):
    """Up to CHUNK_SIZE recipients of a bulk: the frozen audience, and how far it got.

    Recipients before `cursor` have their message row (or stand in a later chunk for another
    try). While a window is on the wire, [cursor, window_to) is claimed; whoever finds the
    lease over must take those for unknown. `fence` rises with each claim of the chunk and
    guards every write.
    """

    class Status(models.IntegerChoices):
        OPEN = 0, "To send"
        DONE = 1, "Sent"
        LEFT_OUT = 2, "Left out"
        CANCELLED = 3, "Cancelled"

    bulk = models.ForeignKey(Bulk, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    not_before = models.DateTimeField()
    starts_at = models.DateTimeField(null=True)  # its recipients' own turn; NULL: the bulk's
    # Minutes east of UTC where they all are; NULL: unknown, or nobody has asked.
    timezone_offset = models.SmallIntegerField(null=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.IntegerField(default=0)
    size = models.SmallIntegerField()
    cursor = models.SmallIntegerField(default=0)
    window_to = models.SmallIntegerField(null=True)
    platform = models.SmallIntegerField(choices=Medium)
    variant = models.SmallIntegerField(default=0)
    status = models.SmallIntegerField(choices=Status, default=Status.OPEN)
    attempt = models.SmallIntegerField(default=0)  # tries before this one
    reason = models.SmallIntegerField(choices=Reason, default=Reason.NONE)
    urgent = models.BooleanField(default=False)
    held = models.BooleanField(default=False)
    repeated = models.BooleanField(
        db_default=False, default=False
    )  # a try before this one may have arrived
    recipients = ArrayField(models.BigIntegerField())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(cursor__gte=0, cursor__lte=models.F("size")),
                name="chunk_cursor_is_inside",
            ),
            models.CheckConstraint(
                condition=Q(window_to=None)
                | Q(window_to__gt=models.F("cursor"), window_to__lte=models.F("size")),
                name="chunk_window_follows_the_cursor",
            ),
        ]
        indexes = [
            # claiming: what may be sent now, urgent first
            models.Index(
                fields=["-urgent", "not_before", "id"],
                condition=Q(status=0),
                name="chunk_open",
            ),
            # campaign page: what waits, what was left out; finishing a bulk
            models.Index(fields=["bulk", "status"], name="chunk_of_bulk"),
        ]


class MessageQuerySet(models.QuerySet["Message"]):
    def of_bulk(self, bulk: Bulk) -> "MessageQuerySet":
        """Messages of a bulk, by their id alone: one range of one partition."""
        low, high = id_range(bulk)
        return self.filter(pk__gte=low, pk__lte=high)

    def newest_of(
        self, registrations: Collection[int], most: int, before: uuid.UUID | None = None
    ) -> "MessageQuerySet":
        """The newest messages of some devices, newest first; of those below an id.

        Asked device by device: of one statement the planner may think that walking all
        messages from the newest is shorter than the index of each device.
        """
        bound = before or uuid.UUID(int=(1 << 128) - 1)
        return self._of(_NEWEST, registrations, bound, most).order_by("-pk")

    def oldest_of(
        self, registrations: Collection[int], most: int, after: uuid.UUID | None = None
    ) -> "MessageQuerySet":
        """The oldest messages of some devices, oldest first; of those above an id."""
        return self._of(_OLDEST, registrations, after or uuid.UUID(int=0), most).order_by("pk")

    def _of(
        self, statement: str, registrations: Collection[int], bound: uuid.UUID, most: int
    ) -> "MessageQuerySet":
        with connection.cursor() as cursor:
            cursor.execute(statement, [list(registrations), bound, most, most])
            return self.filter(pk__in=[key for (key,) in cursor.fetchall()])


_ENDMOST = """
SELECT message.id
  FROM unnest(%s::bigint[]) AS device (id)
 CROSS JOIN LATERAL (
       SELECT id FROM campaigns_message
        WHERE registration_id = device.id AND id {beyond} %s ORDER BY id {order} LIMIT %s
       ) AS message
 ORDER BY message.id {order} LIMIT %s
"""
_NEWEST = _ENDMOST.format(beyond="<", order="DESC")
_OLDEST = _ENDMOST.format(beyond=">", order="ASC")


class Message(models.Model):
    """What became of one step for one device. Written once, with its outcome.

    The table is range-partitioned by its own id (a UUIDv8 of time, bulk and recipient, see
    campaigns/ids.py), so it has no foreign keys: partitions are dropped whole.
    """

    class State(models.IntegerChoices):
        UNKNOWN = 1, "Unknown"
        ACCEPTED = 2, "Accepted"
        DELIVERED = 3, "Delivered"
        SEEN = 4, "Seen"
        CLICKED = 5, "Tapped"
        FAILED = 8, "Failed"
        EXPIRED = 9, "Expired"

    id = models.UUIDField(primary_key=True)
    bulk = models.ForeignKey(
        Bulk, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    registration = models.ForeignKey(
        Registration,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    destination = models.ForeignKey(
        "campaigns.Destination",
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    sent_at = models.DateTimeField()  # when its outcome became known
    delivered_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    clicked_at = models.DateTimeField(null=True)
    app_version = models.BigIntegerField(default=0)  # at sending
    state = models.SmallIntegerField(choices=State)
    reason = models.SmallIntegerField(choices=Reason, default=Reason.NONE)
    platform = models.SmallIntegerField(choices=Medium)
    variant = models.SmallIntegerField(default=0)
    attempt = models.SmallIntegerField(default=0)
    repeated = models.BooleanField(
        db_default=False, default=False
    )  # a try before the last one may have arrived
    language = models.CharField(max_length=35, default="", db_collation="C")  # at sending
    answer = models.CharField(max_length=200, default="")  # provider's word, or its id of it

    objects = MessageQuerySet.as_manager()

    class Meta:
        indexes = [
            # device page, message sync, frequency caps
            models.Index(fields=["registration", "id"], name="message_of_registration"),
        ]

    def __str__(self) -> str:
        return str(self.pk)
