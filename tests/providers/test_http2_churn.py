"""How connections come and go, as the process counts it."""

from __future__ import annotations

import uuid

from providers.base import Network
from providers.http2 import Limits, Pool, churn
from providers.http2.churn import Seen
from tests.providers.certificates import Authority
from tests.providers.running import make_requests, run, until
from tests.providers.server import Behaviour, Received, accept, serving


def test_connections_are_counted_by_host_and_by_how_they_end(authority: Authority) -> None:
    host = f"{uuid.uuid4().hex}.example"  # so that no other test counts there

    def answer_or_leave(request: Received) -> None:
        accept(request)
        if request.path == "/1":
            request.session.goaway(request.stream)

    async def scenario() -> None:
        tls = authority.server_context([host])
        async with serving(tls, Behaviour(answer_or_leave)) as server:
            network = Network(("127.0.0.1", server.port), str(authority.file))
            pools = [Pool(network, host, limits=Limits(connections=1)) for _ in range(3)]
            for pool in pools:
                await pool.send_many(make_requests(1))
            assert churn.seen()[host] == Seen(3, 0, 0, connections=3, in_flight=0)

            await pools[0].send_many(make_requests(2))
            await until(lambda: churn.seen()[host].connections == 2)
            assert churn.seen()[host] == Seen(3, 1, 0, connections=2, in_flight=0)

            assert server.sessions[1].transport is not None
            server.sessions[1].transport.abort()
            await until(lambda: churn.seen()[host].connections == 1)
            assert churn.seen()[host] == Seen(3, 1, 1, connections=1, in_flight=0)

            await pools[2].close()  # of our own will
            assert churn.seen()[host] == Seen(3, 1, 1, connections=0, in_flight=0)

    run(scenario())
