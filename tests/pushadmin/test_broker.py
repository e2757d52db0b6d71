"""What a broker that hangs may do to those who want something done."""

import socket
import threading
from collections.abc import Iterator

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from campaigns import tasks
from pushadmin.celery import app


@pytest.fixture
def silent_broker() -> Iterator[str]:
    """Takes connections and says nothing, as a server that was stopped in its tracks."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            try:
                while True:
                    taken.append(server.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=take)
        thread.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in taken:
            each.close()


def test_a_broker_that_hangs_is_given_up(silent_broker: str) -> None:
    options = {**app.conf.broker_transport_options, "socket_timeout": 0.2}
    with (
        Connection(silent_broker, transport_options=options) as broker,
        pytest.raises(OperationalError),
    ):
        app.send_task(tasks.revive.name, connection=broker)


def test_nobody_waits_for_a_broker_longer_than_a_person_would() -> None:
    tries = 1 + app.conf.task_publish_retry_policy["max_retries"]

    assert app.conf.broker_transport_options["socket_timeout"] * tries <= 10
