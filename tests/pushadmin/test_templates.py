from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template

ROOT = Path(settings.BASE_DIR) / "templates"


@pytest.mark.parametrize(
    "name", sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.html"))
)
def test_a_template_can_be_read(name: str) -> None:
    """Also those that no other test opens."""
    get_template(name)
