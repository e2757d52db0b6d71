"""`manage.py demo`: everything on one machine, from nothing."""

import json
import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from embedded import packages
from embedded.environment import ROOT, say
from embedded.home import Home, HomeInUse
from embedded.processes import Service, end_leftovers, read_pid
from embedded.servers import MARK, Postgres, ServerFailure, Valkey
from embedded.supervisor import Failed, Stopped, Supervisor

SERVERS = ("postgres", "valkey")
QUICK_PROCESSES = 3
WEB_PROCESSES = 2
WEB_THREADS = 4  # per process, which keeps a pool of 8 database connections


def demo(arguments: Sequence[str] = ()) -> int:
    """Run the demo until Ctrl-C. Exit code 1 when something does not start."""
    began = time.monotonic()
    home = Home.chosen()
    supervisor = Supervisor(home, loudly=os.environ.get("PUSHADMIN_VERBOSE") == "1")
    try:
        home.lock()
    except HomeInUse:
        print(f"A demo runs in {home.path} already. {address(home)}", file=sys.stderr)
        return 1
    supervisor.handle_signals()
    try:
        start(supervisor, home)
        say(f"ready after {time.monotonic() - began:.0f} s")
        print(greeting(home), flush=True)
        supervisor.run()
    except Stopped:
        pass
    except (Failed, ServerFailure, packages.PackagesFailure, OSError) as failure:
        if not supervisor.asked_to_stop:
            print(f"The demo cannot start: {failure}", file=sys.stderr)
            return 1
    finally:
        say("stopping")
        supervisor.stop(last=lambda child: child.name in SERVERS)
        home.unlock()
    return 0


def start(supervisor: Supervisor, home: Home) -> None:
    end_leftovers(home.run, f"{MARK}={home.path}")
    port = chosen_port()
    packages.install(dev=False)
    stopped_meanwhile(supervisor)
    environment = {**os.environ, **start_servers(supervisor, home, port)}
    demo = Demo(home=home, port=port, environment=environment)
    say("preparing tables and pages")
    supervisor.run_step(*demo.preparations())
    say("starting")
    supervisor.start(*demo.processes())
    say("loading the shop, its people and their devices")
    supervisor.run_step(demo.load())


def stopped_meanwhile(supervisor: Supervisor) -> None:
    if supervisor.asked_to_stop:
        raise Stopped


def start_servers(supervisor: Supervisor, home: Home, port: int) -> dict[str, str]:
    """Start the servers that the environment does not name; returns the demo's settings."""
    services = []
    settings = settings_of(home, port)
    if "DATABASE_URL" not in os.environ:
        postgres = Postgres(home)
        postgres.prepare()
        services.append(postgres.service())
    if "BROKER_URL" not in os.environ:
        valkey = Valkey(home)
        valkey.prepare()
        services.append(valkey.service())
    stopped_meanwhile(supervisor)
    supervisor.start(*services)
    return {name: value for name, value in settings.items() if name not in os.environ}


def settings_of(home: Home, port: int) -> dict[str, str]:
    """The settings of a demo in this home, where the environment says nothing else."""
    return {
        **home.secrets(),
        "DATABASE_URL": Postgres(home).url,
        "BROKER_URL": Valkey(home).url,
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "STATIC_ROOT": str(home.path / "static"),
        "LOG_FORMAT": "plain",
        "SHUTDOWN_SECONDS": "1",
        "WEBHOOK_NETWORKS": "127.0.0.0/8",  # a receiver on this machine can be tried
    }


def running_clouds(home: Home) -> dict[str, str]:
    """Where commands reach the simulated clouds of this home, while they run."""
    pid = read_pid(home.run / "gateways.pid")
    try:
        written = json.loads((home.gateways / "gateways.json").read_text())
        clouds = {
            "GATEWAYS": f"127.0.0.1:{written['port']}",
            "GATEWAYS_CA_FILE": str(written["ca_file"]),
        }
    except (OSError, ValueError, KeyError):
        return {}
    return clouds if pid is not None else {}


def wanted_port() -> int:
    """What PUSHADMIN_PORT says."""
    text = os.environ.get("PUSHADMIN_PORT") or "8000"
    if not text.isdecimal() or int(text) > 65535:
        raise Failed(f"PUSHADMIN_PORT must be a number up to 65535, not {text!r}.")
    return int(text)


def chosen_port() -> int:
    """The wanted port, which must be free; 0 takes any."""
    port = wanted_port()
    try:
        return bindable(port)
    except OSError as failure:
        raise Failed(
            f"port {port} cannot be used ({failure.strerror}); "
            "set PUSHADMIN_PORT to another one, and PUSHADMIN_HOME for a second demo."
        ) from None


def bindable(port: int) -> int:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        return int(listener.getsockname()[1])


def greeting(home: Home) -> str:
    written = json.loads((home.path / "demo.json").read_text())
    logins = [
        f"    {role:<10} {login['username']} / {login['password']}"
        for role, login in written["staff"].items()
    ]
    campaign = written.get("campaign", {}).get("url", "")
    return "\n".join(
        [
            "",
            f"  pushadmin is at {written['base_url']}",
            *([f"  a campaign that runs now: {campaign}"] if campaign else []),
            "  log in as (role, username / password):",
            *logins,
            f"  for scripts: {home.path / 'demo.json'}; logs: {home.log}",
            "  Ctrl-C stops everything.",
            "",
        ]
    )


def address(home: Home) -> str:
    try:
        return f"It is at {json.loads((home.path / 'demo.json').read_text())['base_url']}."
    except (OSError, ValueError, KeyError):
        return "Choose another data folder with PUSHADMIN_HOME."


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The processes of one demo."""

    home: Home
    port: int
    environment: dict[str, str]

    def __post_init__(self) -> None:
        self.home.gateways.mkdir(exist_ok=True)

    @property
    def base_url(self) -> str:
        return self.environment["PUBLIC_BASE_URL"]

    def python(
        self,
        name: str,
        *words: str,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals | None = None,
        is_ready: Callable[[], bool] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Service:
        """A process of our Python; unless told otherwise, ready when it touches its file."""
        ready_file = self.home.run / f"{name}.ready"
        variables = {
            **self.environment,
            **(more or {}),
            "PUSHADMIN_PYTHON": "system",  # the environment has been entered already
            "DJANGO_SETTINGS_MODULE": "pushadmin.settings",
            "PYTHONUNBUFFERED": "1",
            "READY_FILE": str(ready_file),
            MARK: str(self.home.path),
        }
        return Service(
            name=name,
            command=[sys.executable, *words],
            environment=variables,
            directory=ROOT,
            stop_signal=stop_signal,
            death_signal=death_signal,
            is_ready=is_ready or ready_file.exists,
            before_start=lambda: ready_file.unlink(missing_ok=True),
        )

    def manage(self, name: str, *words: str) -> Service:
        return self.python(name, str(ROOT / "manage.py"), *words)

    def preparations(self) -> list[Service]:
        static = self.manage("static", "collectstatic", "--noinput", "--verbosity", "0")
        return [self.manage("migrate", "migrate", "--noinput", "--verbosity", "0"), static]

    def load(self) -> Service:
        gateways = str(self.home.gateways / "gateways.json")
        places = ["--home", str(self.home.path), "--base-url", self.base_url]
        return self.manage("load_demo", "load_demo", *places, "--gateways", gateways)

    def processes(self) -> list[Service]:
        gateways = f"127.0.0.1:{bindable(0)}"
        certificate = str(self.home.gateways / "ca.pem")
        clouds = {"GATEWAYS": gateways, "GATEWAYS_CA_FILE": certificate}
        dispatchers = self.environment.get("DISPATCH_WORKERS") or "2"
        return [
            self.gateways(int(gateways.rpartition(":")[2])),
            self.worker("worker", "dispatch", dispatchers, clouds),
            self.worker("quick", "urgent,receipts,default", str(QUICK_PROCESSES), clouds),
            self.python(
                "scheduler", *CELERY, "beat", "-S", SCHEDULER, "--pidfile", "", more=clouds
            ),
            self.web(clouds),
        ]

    def gateways(self, port: int) -> Service:
        """The clouds: ports are chosen here, so that a restart finds the same ones."""
        written = self.home.gateways / "gateways.json"
        ports = ["--port", str(port), "--control-port", str(bindable(0))]
        places = ["--home", str(self.home.gateways)]
        service = self.manage("gateways", "run_gateways", *ports, *places)
        return Service(
            name=service.name,
            command=service.command,
            environment=service.environment,
            directory=service.directory,
            before_start=lambda: written.unlink(missing_ok=True),
            is_ready=written.exists,
        )

    def worker(self, name: str, queues: str, processes: str, clouds: dict[str, str]) -> Service:
        node = ["--hostname", f"{name}@%h", "--queues", queues, "--concurrency", processes]
        alone = ["--without-gossip", "--without-mingle"]
        # SIGQUIT hands an unfinished task back at once; SIGTERM would finish it first.
        return self.python(
            name,
            *(*CELERY, "worker", *node, *alone, "--loglevel", "INFO"),
            stop_signal=signal.SIGQUIT,
            death_signal=signal.SIGKILL,  # or it waits for a broker that ends with us
            more=clouds,
        )

    def web(self, clouds: dict[str, str]) -> Service:
        listen = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.port)]
        size = ["--workers", str(WEB_PROCESSES), "--blocking-threads", str(WEB_THREADS)]
        rest = ["--respawn-failed-workers", "--workers-kill-timeout", "1", "--no-ws"]
        return self.python(
            "web",
            *("-m", "granian", *listen, *size, *rest, "pushadmin.wsgi:application"),
            is_ready=self.web_answers,
            more=clouds,
        )

    def web_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as got:
                return bool(got.status == 200)
        except OSError:
            return False


CELERY = ("-m", "celery", "--app", "pushadmin.celery:app")
SCHEDULER = "pushadmin.scheduler:LockedScheduler"
