"""Refusals this room gives: a stable code for machines, a sentence for people."""


class CampaignError(Exception):
    """Something a campaign may not do now. `str()` says what and how to mend it."""

    code = "campaign"


class EmptyAudienceError(CampaignError):
    """The rule matches no reachable device."""

    code = "empty_audience"


class IncompleteContentError(CampaignError):
    """Something the notification needs is missing; `field` names the form field.

    `content` is the key of the content it is missing from, where a campaign has several.
    """

    code = "incomplete_content"

    def __init__(self, sentence: str, *, field: str, content: int | None = None) -> None:
        super().__init__(sentence)
        self.field = field
        self.content = content


class ContentTooLargeError(IncompleteContentError):
    """The notification is larger than a cloud takes."""

    code = "content_too_large"


class NoCredentialError(CampaignError):
    """No platform of the audience has a working credential."""

    code = "no_credential"


class WrongStateError(CampaignError):
    """The campaign has moved on: this can no longer be done to it."""

    code = "wrong_state"


class NotApprovedError(CampaignError):
    """A second person has to approve it, and this is not the one."""

    code = "not_approved"


class StaleDraftError(CampaignError):
    """Somebody else saved the draft meanwhile."""

    code = "stale_draft"


class RuleError(CampaignError):
    """A targeting rule that cannot be read; `path` leads to the place, like `all[1].value`."""

    code = "rule"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'rule'}: {problem}")
        self.path = path
        self.problem = problem


class NameTakenError(CampaignError):
    """The application has another segment, list, template or snippet of that name."""

    code = "name_taken"


class TemplateError(CampaignError):
    """A template cannot be made from this, or is gone; says which."""

    code = "template"


class SnippetError(CampaignError):
    """The snippet is gone."""

    code = "snippet"


class ListError(CampaignError):
    """What should be put on a list or taken off it cannot be; says why."""

    code = "list"


class ListInUseError(CampaignError):
    """Campaigns or segments name the list, so it cannot be deleted."""

    code = "list_in_use"


class SegmentInUseError(CampaignError):
    """Campaigns or other segments name the segment, so it cannot be deleted."""

    code = "segment_in_use"


class ScenarioInUseError(CampaignError):
    """Campaigns or other systems go by the scenario, so it cannot be deleted."""

    code = "scenario_in_use"


class ForeignScenarioError(CampaignError):
    """The scenario has steps that are not this application's, or none that it can change."""

    code = "foreign_scenario"
