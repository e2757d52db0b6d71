"""Write the demo to the database."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from simulator import demo


class Command(BaseCommand):
    help = "Make the demo's shop, team, devices and campaign; what exists is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--home", type=Path, required=True, help="where demo.json is written")
        parser.add_argument("--base-url", required=True, help="of the dashboard")
        parser.add_argument(
            "--gateways", type=Path, required=True, help="gateways.json of the simulated clouds"
        )

    def handle(self, *args: Any, home: Path, base_url: str, gateways: Path, **options: Any) -> None:
        if not gateways.exists():
            raise CommandError(f"{gateways} is missing: are the simulated clouds running?")
        places = demo.Places(home, base_url.rstrip("/"), gateways)
        try:
            facts = demo.load(places, devices=demo.devices_wanted())
        except ValueError as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(
            f"wrote {places.facts.name}; the campaign is at {facts['campaign']['url']}"
        )
