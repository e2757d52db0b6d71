"""pushadmin.staticfiles and the icons: files out of packages, and only those named."""

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.template import Context, Template, TemplateSyntaxError
from pytest_django import Settings


def rendered(source: str, **context: object) -> str:
    return Template(source).render(Context(context))


@pytest.mark.parametrize("name", settings.PACKAGE_FILES)
def test_files_of_packages_are_served_under_pkg(name: str) -> None:
    found = finders.find(f"pkg/{name}")

    assert found is not None
    assert Path(str(found)).stat().st_size > 1000


@pytest.mark.parametrize(
    "path", ["pkg/echarts/package.json", "pkg/../package.json", "echarts/dist/echarts.min.js"]
)
def test_nothing_else_of_a_package_is_served(path: str) -> None:
    assert finders.find(path) is None


def test_collected_files_are_named_by_their_content(tmp_path: Path, settings: Settings) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "pushadmin.staticfiles.HashedStorage"}
    }

    call_command("collectstatic", interactive=False, verbosity=0)

    assert list(tmp_path.glob("pkg/echarts/dist/echarts.min.*.js"))
    assert list(tmp_path.glob("pkg/echarts/dist/echarts.min.*.js.gz"))
    assert (tmp_path / "staticfiles.json").exists()


def test_an_icon_takes_the_colour_of_the_text_and_is_silent() -> None:
    svg = rendered('{% icon "send" %}')

    assert svg.startswith('<svg class="icon" viewBox="0 0 24 24"')
    assert 'stroke="currentColor"' in svg
    assert 'aria-hidden="true"' in svg
    assert "<path" in svg


def test_an_icon_with_a_label_is_said_aloud() -> None:
    svg = rendered('{% icon "send" label=label %}', label='"Send" <now>')

    assert 'role="img" aria-label="&quot;Send&quot; &lt;now&gt;"' in svg
    assert "aria-hidden" not in svg


@pytest.mark.parametrize("name", ["no-such-icon", "../../package", "SEND"])
def test_an_icon_that_is_none_is_a_mistake_in_the_template(name: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="icon"):
        rendered("{% icon name %}", name=name)
