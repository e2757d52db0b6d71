"""Run the simulated clouds on this machine."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from simulator import gateways
from simulator.inputs import BadInput
from simulator.world import HomeInUse


class Command(BaseCommand):
    help = "Run simulated FCM and APNs on loopback, for the demo and for tests."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        gateways.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            gateways.serve(argparse.Namespace(**options))
        except (HomeInUse, BadInput, OSError) as error:
            raise CommandError(f"Cannot start: {error}") from error
