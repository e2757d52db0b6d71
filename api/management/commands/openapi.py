"""Print the OpenAPI document of all APIs."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from api.openapi.document import document


class Command(BaseCommand):
    help = "Print the OpenAPI 3.1 document of every API, as /openapi.json serves it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--base-url",
            default=settings.PUBLIC_BASE_URL,
            help="Where the server is reached; PUBLIC_BASE_URL unless given.",
        )

    def handle(self, *args: Any, base_url: str, **options: Any) -> None:
        told = document(base_url.rstrip("/"))
        self.stdout.write(json.dumps(told, ensure_ascii=False, indent=2))
