"""Start the simulated clouds on this machine."""

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from simulator import gateways


class Command(BaseCommand):
    help = "Run simulated FCM and APNs on loopback, over real TLS and HTTP/2."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        gateways.add_arguments(parser)

    def handle(self, *args: Any, home: Path, **options: Any) -> None:
        gateways.run(argparse.Namespace(home=home, **options))
