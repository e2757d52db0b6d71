"""Migrations can be applied while the version before still runs."""

import pytest
from django_migration_linter import MigrationLinter

from embedded.environment import ROOT

# Makes its tables by SQL, which the linter cannot tell from changing them.
MAKES_TABLES = ["0002_messages", "0016_events"]
# Changes a table that no released version wrote to (campaigns_destination).
CHANGES_UNUSED = ["0013_submissions", "0021_destinations_of_requests"]
# Its constraint is about a column that the version before does not know: no row can break it.
CONSTRAINS_NEW = ["0030_exclusion_indexes"]


@pytest.mark.django_db
def test_no_migration_breaks_the_running_version() -> None:
    linter = MigrationLinter(
        str(ROOT),
        include_apps=["devices", "campaigns"],
        ignore_name=[*MAKES_TABLES, *CHANGES_UNUSED, *CONSTRAINS_NEW],
        no_cache=True,
        quiet=["ok", "ignore"],
    )

    linter.lint_all_migrations()

    assert linter.nb_total > 0
    assert not linter.has_errors
