"""Believable devices and their owners, as a CSV file: the demo's audience."""

import csv
import json
import random
import uuid
from datetime import date, timedelta
from pathlib import Path

from simulator import browsers

FIRST = [
    "Ana",
    "Ben",
    "Chloé",
    "Dario",
    "Elif",
    "Finn",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Klara",
    "Luca",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
]
LAST = [
    "Meier",
    "Rossi",
    "Dubois",
    "Schmidt",
    "Novak",
    "Silva",
    "Jensen",
    "Kowalski",
    "Weber",
    "Costa",
    "Berg",
    "Moreau",
]
LANGUAGES = ["en-GB", "de", "fr", "es", "it", "de-AT", "pt-BR", "pl"]
ANDROIDS = [
    ("Samsung", "Galaxy S24"),
    ("Google", "Pixel 9"),
    ("Xiaomi", "Xiaomi 14T"),
    ("OnePlus", "OnePlus 12"),
]
HUAWEI = 0.1  # share of what is not iOS
HUAWEIS = [  # maker, model, platform, and how its tokens begin
    ("Huawei", "P60 Pro", "Huawei", "IQAAAACy0"),
    ("Huawei", "nova 11", "Huawei", "IQAAAACy0"),
    ("Huawei", "Mate X5", "Huawei", "IQAAAACy0"),
    ("Huawei", "Mate 70", "HarmonyOS", "MAMzLgIk"),
]
WEB = 0.06  # share of what is neither
BROWSERS = [  # system, browser, versions of the system, push service
    ("Windows", "Chrome", ["10", "11"], browsers.GOOGLE),
    ("Windows", "Edge", ["10", "11"], browsers.MICROSOFT),
    ("macOS", "Safari", ["14", "15"], browsers.APPLE),
    ("Linux", "Firefox", [""], browsers.MOZILLA),
]
FIRST_BROWSER = 20  # row; those before it are phones
IPHONES = ["iPhone 13", "iPhone 14", "iPhone 15", "iPhone 16", "iPhone SE"]
VERSIONS = ["4.8.2", "4.9.0", "4.9.3", "4.10.0", "4.10.1", "4.11.0-beta"]
ZONES = ["GMT+00:00", "GMT+01:00", "GMT+02:00", "GMT-05:00", "GMT+05:30"]
HEADER = [
    "registration id", "platform", "token", "external id", "phone", "e-mail", "first name",
    "last name", "app version", "os version", "sdk version", "language", "manufacturer", "model",
    "timezone", "notifications enabled", "tags", "plan", "orders", "last_order", "newsletter",
]  # fmt: skip


def write_csv(
    file: Path, count: int, *, seed: int, huawei: float = 0.0, server_key: str = ""
) -> None:
    """A CSV of devices that is the same for the same seed; two in five have an owner.

    `huawei` is the share of what is not iOS that has Huawei's services. With the `server_key` of
    a site some are browsers that subscribed with it.
    """
    chance = random.Random(seed)  # believable, not secret
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        for number in range(count):
            writer.writerow(_row(chance, number, huawei, server_key))


def _row(chance: random.Random, number: int, huawei: float, server_key: str) -> list[str]:
    ios = chance.random() < 0.38
    token = f"{chance.getrandbits(256):064x}"
    if not ios:
        token = f"{token[:22]}:APA91b{token}{chance.getrandbits(256):064x}"
    platform = "iOS" if ios else "Android"
    owned = number == 0 or chance.random() < 0.4
    # The second of some people's devices: the same identities once more.
    owner = number if number < 10 or chance.random() < 0.8 else chance.randrange(10, number + 1)
    named = random.Random(f"person {owner}")
    first, last = named.choice(FIRST), named.choice(LAST)
    make, model = ("Apple", chance.choice(IPHONES)) if ios else chance.choice(ANDROIDS)
    maker = random.Random(f"maker {number}")
    if not ios and maker.random() < huawei:
        make, model, platform, begin = maker.choice(HUAWEIS)
        token = begin + token.replace(":", "")
    systems = ["17.6", "18.1", "18.2"] if ios else ["13", "14", "15"]
    if server_key and platform == "Android" and number >= FIRST_BROWSER and maker.random() < WEB:
        make, model, systems, host = maker.choice(BROWSERS)
        visitor = browsers.subscribe(browsers.unpacked(server_key), token[:22], host)
        platform, token = "Web", json.dumps(visitor.subscription())
    tags = [tag for tag, share in (("vip", 0.06), ("newsletter", 0.45), ("new", 0.15))
            if named.random() < share]  # fmt: skip
    ordered = date(2026, 1, 1) + timedelta(days=named.randrange(300))
    return [
        str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        platform,
        token,
        f"customer-{owner}" if owned else "",
        f"4179{owner:07d}" if owned and owner % 3 == 0 else "",
        f"customer-{owner}@example.com" if owned and owner % 2 == 0 else "",
        first if owned else "",
        last if owned else "",
        chance.choice(VERSIONS),
        chance.choice(systems),
        chance.choice(["15.0.0", "15.1.0", "14.2.1"]),
        chance.choices(LANGUAGES, weights=[40, 22, 12, 9, 6, 5, 4, 2])[0],
        make,
        model,
        chance.choice(ZONES),
        "false" if chance.random() < 0.08 else "true",
        "|".join(tags) if owned else "",
        chance.choices(["free", "silver", "gold"], weights=[75, 18, 7])[0],
        str(chance.randrange(0, 30)),
        ordered.isoformat(),
        "true" if chance.random() < 0.5 else "false",
    ]
