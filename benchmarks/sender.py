"""Our sender on one core beside its peers, against nginx on another, in the same run.

The contenders take turns, because a machine's speed drifts; each figure is the median of its
rounds. h2load, a load generator in C, marks what the machine can do at all. Then the same
with a cloud 50 ms away.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple
from uuid import UUID

from benchmarks import nginx_sink
from benchmarks.contenders import (
    FCM,
    NOTIFICATION,
    PROJECT,
    TOPIC,
    apns_token,
    apple_key,
    fcm_token,
    service_account,
)
from benchmarks.nginx_sink import pin
from benchmarks.results import Row, Table, report
from embedded import packages, tools
from providers.apns import ApnsPayload
from providers.fcm import FcmPayload

HERE = Path(__file__).parent
FCM_PATH = f"/v1/projects/{PROJECT}/messages:send"
AWAY = 0.05  # seconds
FCM_BODY = FcmPayload(NOTIFICATION).body(fcm_token(0), "token", UUID(int=0), 3600)
APNS_BODY = ApnsPayload(NOTIFICATION).body(UUID(int=0))


class Run(NamedTuple):
    rate: float  # messages a second
    cpu: float  # CPU seconds per 10,000 messages


Contender = Callable[[int], Run]  # port → what it reached


def python(name: str, folder: Path, messages: int, port: int, *, connections: int = 1) -> Run:
    command = [sys.executable, "-m", "benchmarks.contenders", name, str(port), str(folder)]
    return _told([*command, str(messages), "--connections", str(connections)], {}, messages)


def node(script: str, folder: Path, messages: int, port: int) -> Run:
    command = [str(packages.node()), str(HERE / script), str(port), str(folder), str(messages)]
    variables = {
        "NODE_EXTRA_CA_CERTS": str(folder / "ca.pem"),
        "NODE_PATH": str(packages.NODE_MODULES),
    }
    return _told(command, variables, messages)


def _told(command: list[str], variables: dict[str, str], messages: int) -> Run:
    """Run a contender on the first core, and take its own word for seconds and CPU."""
    run = subprocess.run(
        command,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=partial(pin, 0),
    )
    if run.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{run.stderr[-2000:]}")
    figures = json.loads(run.stdout.splitlines()[-1])
    return Run(messages / figures["seconds"], figures["cpu"] / messages * 10_000)


def h2load(path: str, folder: Path, messages: int, port: int, *, connections: int = 1) -> Run:
    tool = tools.h2load()
    body = folder / "h2load.body"
    body.write_bytes(FCM_BODY if path == FCM_PATH else APNS_BODY)
    headers = {"content-type": "application/json", "authorization": "Bearer " + "t" * 200}
    if path != FCM_PATH:
        headers |= {"apns-topic": TOPIC, "apns-push-type": "alert", "apns-priority": "10"}
        headers |= {"apns-expiration": "1800000000", "apns-id": "0" * 36}
    command = [str(tool.program), "-t1", f"-c{connections}", "-m100", f"-n{messages}", f"-d{body}"]
    command += [f"-H{name}: {value}" for name, value in headers.items()]
    before = _children()
    run = subprocess.run(
        [*command, f"https://127.0.0.1:{port}{path}"],
        env=tool.environment,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=partial(pin, 0),
    )
    used = _children() - before
    line = next(line for line in run.stdout.splitlines() if line.startswith("finished in"))
    seconds = line.split()[2].rstrip(",")
    took = float(seconds[:-2]) / 1000 if seconds.endswith("ms") else float(seconds.rstrip("s"))
    if f"{messages} 2xx" not in run.stdout:
        raise SystemExit(f"h2load was refused:\n{run.stdout[-1000:]}")
    return Run(messages / took, used / messages * 10_000)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def turns(contenders: dict[str, Contender], port: int, rounds: int) -> dict[str, Run]:
    """The median of each, one after the other in every round."""
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            runs[name].append(contender(port))
    return {
        name: Run(median(run.rate for run in of), median(run.cpu for run in of))
        for name, of in runs.items()
    }


def near(folder: Path, messages: int, rounds: int) -> list[Row]:
    """nginx without delay, one connection where the contender lets us choose."""
    few, slow = max(500, messages // 60), max(2000, messages // 10)
    apns_path = f"/3/device/{apns_token(1)}"
    contenders: dict[str, Contender] = {
        "h2load, FCM": partial(h2load, FCM_PATH, folder, messages),
        "own sender, FCM": partial(python, "own-sender", folder, messages),
        "own sender with payloads and answers, FCM": partial(python, "own-fcm", folder, messages),
        "firebase-admin (Node)": partial(node, "firebase_admin.js", folder, slow),
        "firebase-admin (Python)": partial(python, "firebase-admin", folder, few),
        "httpx, HTTP/2": partial(python, "httpx", folder, few),
        "h2load, APNs": partial(h2load, apns_path, folder, messages),
        "own sender, APNs": partial(python, "own-sender-apns", folder, messages),
        "own sender with payloads and answers, APNs": partial(python, "own-apns", folder, messages),
        "node-apn": partial(node, "node_apn.js", folder, slow),
        "aioapns": partial(python, "aioapns", folder, slow),
    }
    with nginx_sink.serving(folder, core=1) as port:
        found = turns(contenders, port, rounds)
    rows = [
        Row(name, run.rate, "messages/s", f"{run.cpu:.3f} CPU-s per 10,000")
        for name, run in found.items()
    ]
    for cloud in ("FCM", "APNs"):
        own, limit = found[f"own sender, {cloud}"], found[f"h2load, {cloud}"]
        rows += [
            Row(f"own sender, {cloud} / h2load", own.rate / limit.rate, "x", floor=0.6),
            Row(f"own sender, {cloud}: CPU / h2load's", own.cpu / limit.cpu, "x", ceiling=1.5),
        ]
    # Peers make their payloads and read the answers, so ours does too.
    fcm, apns = (found[f"own sender with payloads and answers, {c}"] for c in ("FCM", "APNs"))
    return rows + [
        Row(
            f"own sender with payloads and answers / {peer}",
            own.rate / found[peer].rate,
            "x",
            floor=goal,
        )
        for own, peer, goal in (
            (fcm, "firebase-admin (Python)", 30),
            (fcm, "firebase-admin (Node)", 4),
            (fcm, "httpx, HTTP/2", None),
            (apns, "aioapns", 10),
            (apns, "node-apn", 4),
        )
    ]


@contextmanager
def distant(folder: Path) -> Iterator[int]:
    """Our own sink on the second core, which answers after AWAY seconds: nginx cannot wait."""
    server = subprocess.Popen(
        [sys.executable, str(HERE / "sink.py"), str(folder), "--delay", str(AWAY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(pin, 1),  # noqa: PLW1509
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.stdin.close()
        server.wait(10)


def far(folder: Path, messages: int, rounds: int) -> list[Row]:
    """Ten connections of a hundred streams to a cloud 50 ms away."""
    contenders: dict[str, Contender] = {
        "h2load, 10 connections": partial(h2load, FCM_PATH, folder, messages, connections=10),
        "own sender, 10 connections": partial(
            python, "own-sender", folder, messages, connections=10
        ),
    }
    with distant(folder) as port:
        found = turns(contenders, port, rounds)
    rows = [
        Row(f"{name}, 50 ms away", run.rate, "messages/s", f"{run.cpu:.3f} CPU-s per 10,000")
        for name, run in found.items()
    ]
    limit, own = found.values()
    return [*rows, Row("own sender / h2load, 50 ms away", own.rate / limit.rate, "x", floor=0.7)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=60_000, help="of ours, in each round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    packages.install(dev=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "google.json").write_text(json.dumps(service_account(folder)))
        apple_key(folder)
        rows = near(folder, options.messages, options.rounds)
        rows += far(folder, options.messages, options.rounds)
    how = f"manage.py bench sender --messages {options.messages} --rounds {options.rounds}"
    report(Table("sender", f"The sender, on one core ({FCM} and APNs played by nginx)", how, rows))


if __name__ == "__main__":
    main()
