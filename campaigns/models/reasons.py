"""Why a message ended as it did, in the words of the people who read it."""

from dataclasses import dataclass

from django.db import models


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
