"""What became of it: the frozen audience, and one row per device and step."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Now

from campaigns.ids import id_range
from campaigns.models.campaigns import Campaign, RepeatPolicy
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


class Reason(models.IntegerChoices):
    """Why a message ended as it did, or a device was left out. Kept with every row."""

    NONE = 0, "Nothing to say"
    UNINSTALLED = 11, "The app was removed from the device"
    MISMATCHED_SENDER = 12, "The token belongs to another sender"
    MALFORMED_TOKEN = 13, "The cloud does not know this token"
    REGISTRATION_GONE = 14, "The device was deleted before sending"
    DISABLED = 15, "The device was switched off before sending"
    NO_TOKEN = 16, "The device never reported a token"
    NUMBER_REFUSED = 17, "No text message can reach this number"
    OPTED_OUT = 18, "The number's owner wants no text messages"
    DORMANT = 19, "The device has not been seen for a month"
    LIMITED = 20, "The cloud lets no more through to the device"
    PAYLOAD_REFUSED = 21, "The cloud refused the notification"
    TOO_LARGE = 22, "The notification is larger than the cloud takes"
    CLOUD_ERROR = 23, "The cloud reported an error of its own"
    CLOUD_UNAVAILABLE = 24, "The cloud could not take it in time"
    CREDENTIAL_REFUSED = 25, "The cloud refused our credential"
    PROVIDER_OFF = 26, "No credential for this platform"
    INTERNAL = 27, "A fault of this installation"
    UNDELIVERABLE = 28, "The operator could not deliver it"
    ACCOUNT_REFUSED = 29, "The gateway account may not send this"
    NO_VALUE = 30, "A value that the text needs is not known"
    TOO_LATE = 31, "The time to live ended before it could be sent"
    NOT_IN_TIME = 32, "It could not be delivered before its time to live ended"
    NEVER_LEARNED = 33, "Nobody could say what became of it"
    REPLACED = 34, "A newer message replaced it"
    WITHDRAWN = 35, "The next step took its place"
    WORKER_LOST = 41, "A worker stopped while sending"
    NO_ANSWER = 42, "The cloud did not answer"
    NOTIFICATIONS_OFF = 51, "Notifications are switched off"
    SWITCHED_OFF = 52, "The device is switched off"
    NOT_PRIMARY = 53, "Not the primary device of its person"
    NO_DEVICE = 54, "There is no device to send to"
    NO_NUMBER = 55, "There is no phone number to send to"
    NO_CONTENT = 56, "There is nothing to say on this channel"
    NO_ROUTE = 57, "Nothing here can send on this channel"
    NO_APPLICATION = 58, "The application is unknown, or switched off"
    NO_TOPIC = 59, "There is no such inbox topic"
    HELD_OUT = 60, "Held out, to compare with"
    WAITING_FOR_RETRY = 61, "The cloud said: not now"
    NOT_SENT = 62, "The connection was lost before it was sent"
    WAITING_FOR_DAY = 63, "It waits for the end of the quiet hours"
    ZONE_PASSED = 71, "The time had passed in its zone"
    CAPPED = 72, "Its person had the most pushes allowed"
    QUIET_HOURS = 73, "Quiet hours lasted until its time was over"
    DO_NOT_CONTACT = 81, "On the do-not-contact list"
    EXCLUDED = 82, "In a segment that gets nothing"

    @property
    def sentence(self) -> str:
        return REASONS[self].sentence

    @property
    def remedy(self) -> str:
        return REASONS[self].remedy


# No cloud could carry it, but an app that asks for its messages gets it all the same.
PULLED_REASONS = (Reason.NO_TOKEN, Reason.PROVIDER_OFF)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reason in the words of the people who read it."""

    sentence: str
    remedy: str


REASONS: dict[Reason, Explanation] = {
    Reason.NONE: Explanation("Nothing happened to it.", "Nothing to do."),
    Reason.UNINSTALLED: Explanation(
        "The app was removed from these devices.",
        "Nothing: these devices are now inactive and are not tried again.",
    ),
    Reason.MISMATCHED_SENDER: Explanation(
        "These tokens were made for another sender.",
        "Check the project or bundle id of the credential.",
    ),
    Reason.MALFORMED_TOKEN: Explanation(
        "The cloud does not know these tokens.",
        "Check where the tokens came from, and whether sandbox and production were mixed up.",
    ),
    Reason.REGISTRATION_GONE: Explanation(
        "These devices were deleted after the launch.", "Nothing to do."
    ),
    Reason.DISABLED: Explanation(
        "These devices were switched off after the launch.", "Nothing to do."
    ),
    Reason.NO_TOKEN: Explanation(
        "These devices never reported a push token.",
        "They get it when the app asks for messages; check the SDK's set-up if there are many.",
    ),
    Reason.NUMBER_REFUSED: Explanation(
        "These numbers cannot receive text messages.",
        "Nothing: they are now closed for text messages and are not tried again.",
    ),
    Reason.OPTED_OUT: Explanation(
        "The owners of these numbers want no text messages.",
        "Nothing: they asked not to be written to.",
    ),
    Reason.DORMANT: Explanation(
        "These devices have not been seen for a month.",
        "Nothing: target devices by when they were last seen to leave them out.",
    ),
    Reason.LIMITED: Explanation(
        "The cloud limits how much such a device gets a day.",
        "Send less often, or ask Huawei for the right to another category than marketing.",
    ),
    Reason.PAYLOAD_REFUSED: Explanation(
        "The cloud refused the notification itself.",
        "Read the cloud's answer, correct the content and send it again.",
    ),
    Reason.TOO_LARGE: Explanation(
        "The notification is larger than the cloud takes (4 KB).", "Shorten the text or the data."
    ),
    Reason.CLOUD_ERROR: Explanation(
        "The cloud reported an error of its own, again and again.",
        "Send to these devices again later.",
    ),
    Reason.CLOUD_UNAVAILABLE: Explanation(
        "The cloud did not take it before the time to live ended.",
        "Send to these devices again later.",
    ),
    Reason.CREDENTIAL_REFUSED: Explanation(
        "The cloud refused our credential.", "Test and mend the credential of the application."
    ),
    Reason.PROVIDER_OFF: Explanation(
        "This application has no credential for their platform.",
        "Add one under Settings, Applications.",
    ),
    Reason.INTERNAL: Explanation(
        "A fault of this installation stopped it.", "Tell the administrator; the log has more."
    ),
    Reason.TOO_LATE: Explanation(
        "The time to live ended before it could be sent.", "Give it a longer time to live."
    ),
    Reason.UNDELIVERABLE: Explanation(
        "The operator could not deliver it.",
        "Read the gateway's answer; send to these again later.",
    ),
    Reason.ACCOUNT_REFUSED: Explanation(
        "The gateway account may not send this: credit, sender or route.",
        "Look at the account's balance and the sender's registration with the gateway.",
    ),
    Reason.NO_VALUE: Explanation(
        "A value that the text needs is not known of these people.",
        'Give the merge tag a fallback, such as {{ first_name | default: "there" }}.',
    ),
    Reason.NOT_IN_TIME: Explanation(
        "The device was away until the time to live ended.", "Give it a longer time to live."
    ),
    Reason.NEVER_LEARNED: Explanation(
        "The operator never said what became of it.",
        "Nothing is sent twice. A late report is noted with the message.",
    ),
    Reason.REPLACED: Explanation(
        "A newer message took its place before it was shown.", "Nothing to do."
    ),
    Reason.WORKER_LOST: Explanation(
        "A worker stopped while these were on the wire: they may have arrived.",
        "Nothing is sent twice. A receipt from the device settles it.",
    ),
    Reason.NO_ANSWER: Explanation(
        "The connection broke before the cloud answered: they may have arrived.",
        "Nothing is sent twice. A receipt from the device settles it.",
    ),
    Reason.NOTIFICATIONS_OFF: Explanation(
        "Their owners turned notifications off.", "Nothing: they asked not to be notified."
    ),
    Reason.SWITCHED_OFF: Explanation(
        "These devices are switched off or inactive.", "Nothing to do."
    ),
    Reason.NOT_PRIMARY: Explanation(
        "Another device of the same person is the primary one.",
        "Send to all devices instead of primary ones only.",
    ),
    Reason.WITHDRAWN: Explanation(
        "The step ended without a sign of it, and the next one took its place.",
        "Nothing: give the step more time if it happens often.",
    ),
    Reason.NO_DEVICE: Explanation("These people have no device to send to.", "Nothing to do."),
    Reason.NO_NUMBER: Explanation(
        "These people have no phone number.", "Import their numbers, or learn them in the app."
    ),
    Reason.NO_CONTENT: Explanation(
        "There was nothing to say on this channel.", "Write what this step says."
    ),
    Reason.NO_ROUTE: Explanation(
        "Nothing here can send on this channel.",
        "Add an SMS gateway under Settings, Applications.",
    ),
    Reason.NO_APPLICATION: Explanation(
        "The application of this step is unknown, or switched off.",
        "Correct the sender of the step.",
    ),
    Reason.NO_TOPIC: Explanation(
        "The inbox topic of this step does not exist.", "Correct its name; case matters."
    ),
    Reason.HELD_OUT: Explanation(
        "Held out on purpose, to compare those who got it with.", "Nothing to do."
    ),
    Reason.WAITING_FOR_RETRY: Explanation(
        "The cloud asked to try again later.", "Nothing: it is tried again by itself."
    ),
    Reason.NOT_SENT: Explanation(
        "The connection was lost before they were sent.", "Nothing: they are sent again."
    ),
    Reason.WAITING_FOR_DAY: Explanation(
        "It is night for these devices.", "Nothing: they get it when their quiet hours end."
    ),
    Reason.ZONE_PASSED: Explanation(
        "Where these devices are, the chosen time had passed at the launch.",
        "Launch it earlier, or send the next day where it has passed.",
    ),
    Reason.CAPPED: Explanation(
        "These people had as many pushes as this application allows.",
        "Nothing: the frequency cap spares them. It is set under Settings, Applications.",
    ),
    Reason.QUIET_HOURS: Explanation(
        "It was night for these devices until the time to live was over.",
        "Give it a longer time to live, or send it in the day.",
    ),
    Reason.DO_NOT_CONTACT: Explanation(
        "They, or their owners, are on the do-not-contact list.",
        "Take them off the list if they want to hear from you again.",
    ),
    Reason.EXCLUDED: Explanation(
        "They are in a segment that is left out of every send.",
        "Look at that segment: change its rule, or send to those in it again.",
    ),
}


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
