"""Celery's way in."""

from celery import shared_task
from django.db.models import Q
from django.utils import timezone

from devices import device_base, import_reviews, importing_people, indexing
from devices.models import ImportRun


@shared_task
def run_import(pk: int) -> None:
    importing_people.run_upload(pk)


@shared_task
def revive_imports() -> None:
    """Queue again the uploads that nobody works on; end those that nobody started."""
    import_reviews.give_up()
    unfinished = (ImportRun.Status.WAITING, ImportRun.Status.RUNNING)
    lost = ImportRun.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=timezone.now()),
        purpose__in=importing_people.SHEETS,
        status__in=unfinished,
        size__gt=0,
    )
    for pk in lost.values_list("pk", flat=True):
        run_import.delay(pk)


@shared_task
def fit_indexes() -> None:
    """Build and drop indexes of attributes; the timetable goes on where a worker was killed."""
    indexing.fit()


@shared_task
def count_devices() -> None:
    device_base.roll_up()
