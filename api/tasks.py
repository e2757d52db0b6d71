"""Celery's way in."""

from celery import shared_task

from api.infobip import webhooks
from campaigns import deliveries

WORK_SECONDS = 30  # shorter than the broker's patience (visibility timeout)


@shared_task
def tell_webhooks() -> None:
    """Post what is due; the timetable calls it every other second."""
    deliveries.work(webhooks.write_up, seconds=WORK_SECONDS)
