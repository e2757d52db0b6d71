"""Prepare an installation: tables, and the first administrator."""

import getpass
import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = (
        "Migrate the database and make the first administrator. The password is asked for, "
        "or read from ADMIN_PASSWORD. Repeating it changes no existing account."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", default="admin")
        parser.add_argument("--email", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=options["verbosity"])
        if User.objects.filter(is_superuser=True, is_active=True).exists():
            self.stdout.write("There is an administrator already; nobody was added.")
            return
        user = User(
            username=options["username"],
            email=options["email"],
            is_staff=True,
            is_superuser=True,
        )
        password = chosen_password()
        try:
            validate_password(password, user)
            user.set_password(password)
            user.full_clean()
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from None
        user.save()
        self.stdout.write(f"Administrator {user.username} can sign in now.")


def chosen_password() -> str:
    password = os.environ.get("ADMIN_PASSWORD", "")
    if password:
        return password
    if not sys.stdin.isatty():
        raise CommandError("Set ADMIN_PASSWORD, or run setup in a terminal to be asked for it.")
    password = getpass.getpass("Password of the first administrator: ")
    if password != getpass.getpass("The same again: "):
        raise CommandError("The two passwords differ.")
    return password
