"""The Celery application, its queues and its timetable."""

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import task_postrun, task_prerun, worker_process_init, worker_ready
from django.db import close_old_connections
from kombu import Queue
from structlog.contextvars import bind_contextvars, clear_contextvars

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pushadmin.settings")

PR_SET_PDEATHSIG = 1  # linux/prctl.h
QUEUES = ("dispatch", "urgent", "receipts", "default")

app = Celery("pushadmin")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = [Queue(name) for name in QUEUES]
# Connections are kept over this many tasks: 270 → 800 tasks a second.
app.conf["CELERY_DB_REUSE_MAX"] = 1000
app.autodiscover_tasks(["campaigns", "devices", "api"])

app.conf.task_routes = {
    "campaigns.tasks.dispatch_chunks": "dispatch",
    "campaigns.tasks.dispatch_urgent": "urgent",
    "campaigns.tasks.consume_receipts": "receipts",
}

# What is due again and again (seconds). Each may be started twice, or late, without harm;
# one that waited longer than its turn is dropped.
TIMETABLE: dict[str, dict[str, Any]] = {
    name: {"task": task, "schedule": every, "options": {"expires": every}}
    for name, task, every in (
        ("whatever Postgres calls unfinished", "campaigns.tasks.revive", 3.0),
        ("runs of recurring campaigns", "campaigns.tasks.plan_runs", 30.0),
        ("receipts", "campaigns.tasks.consume_receipts", 5.0),
        ("messages past their time", "campaigns.tasks.expire_messages", 5.0),
        ("calls of other systems", "campaigns.tasks.keep_calls", 2.0),
        ("mails to members", "campaigns.tasks.mail_letters", 30.0),
        ("webhooks", "api.tasks.tell_webhooks", 2.0),
        ("events of apps", "campaigns.tasks.consume_events", 5.0),
        ("days of the ledger", "campaigns.tasks.make_partitions", 3600.0),
        ("the counters' proof", "campaigns.tasks.reconcile", 600.0),
        ("samples of devices", "campaigns.tasks.draw_samples", 60.0),
        ("credentials", "campaigns.tasks.test_credentials", 3600.0),
        ("refused credentials", "campaigns.tasks.test_paused_credentials", 60.0),
        ("sizes of segments", "campaigns.tasks.count_segments", 600.0),
        ("device base", "devices.tasks.count_devices", 600.0),
        ("imports nobody works on", "devices.tasks.revive_imports", 15.0),
        ("indexes of attributes", "devices.tasks.fit_indexes", 60.0),
        ("files of lists nobody works on", "campaigns.tasks.revive_list_uploads", 15.0),
    )
}
app.conf.beat_schedule = TIMETABLE


@task_prerun.connect
def drop_broken_connections(**kwargs: object) -> None:
    """A kept connection did not live through a restart of the database: get a new one."""
    close_old_connections()


@task_prerun.connect
def name_the_task(task_id: str, task: Any, **kwargs: object) -> None:
    """For the log lines of whatever it does."""
    worker = f"{task.request.hostname}:{os.getpid()}"
    bind_contextvars(task=task.name, task_id=task_id, worker=worker)


@task_postrun.connect
def forget_the_task(**kwargs: object) -> None:
    clear_contextvars()


@worker_ready.connect
def say_ready(**kwargs: object) -> None:
    """Touch READY_FILE, by which a supervisor knows that the worker takes tasks."""
    if path := os.environ.get("READY_FILE"):
        Path(path).touch()


@worker_process_init.connect
def end_with_the_worker(**kwargs: object) -> None:
    """A worker killed with SIGKILL takes its processes along: none goes on sending unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
