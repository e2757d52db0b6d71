"""The usual way to send a campaign: a Celery task per 500 messages with firebase-admin.

`celery -A benchmarks.celery_peer worker` with PEER_PORT, PEER_FOLDER and BROKER_URL. Each task
counts its messages in the store, so that whoever queued them can see the end.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import firebase_admin
import redis
from celery import Celery
from firebase_admin import credentials, messaging

from benchmarks.contenders import NOTIFICATION, near, service_account

BROKER = os.environ["BROKER_URL"]
QUEUE, COUNT = "bench-peer", "bench-peer:sent"
PAGE = 500  # messages a task, and the most firebase-admin takes at once
app = Celery("peer", broker=BROKER)
app.conf.update(task_default_queue=QUEUE, task_ignore_result=True, worker_prefetch_multiplier=1)


def store() -> redis.Redis:
    return redis.Redis.from_url(BROKER.replace("redis+socket://", "unix://", 1))


@cache
def firebase() -> firebase_admin.App:
    folder = Path(os.environ["PEER_FOLDER"])
    os.environ["REQUESTS_CA_BUNDLE"] = str(folder / "ca.pem")
    near(int(os.environ["PEER_PORT"]))
    return firebase_admin.initialize_app(credentials.Certificate(service_account(folder)))


@app.task
def send(tokens: list[str]) -> None:
    note = messaging.Notification(title=NOTIFICATION.title, body=NOTIFICATION.text)
    page = [messaging.Message(token=token, notification=note) for token in tokens]
    answers = messaging.send_each(page, app=firebase())
    assert answers.failure_count == 0, answers.responses[0].exception
    store().incrby(COUNT, len(tokens))
