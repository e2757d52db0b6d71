"""Static files out of npm packages, and the storage that names files by their content."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Error
from django.core.files.storage import FileSystemStorage, Storage
from whitenoise.storage import CompressedManifestStaticFilesStorage

PREFIX = "pkg/"


class PackageFinder(BaseFinder):
    """Finds `pkg/PACKAGE/FILE` for each of settings.PACKAGE_FILES, and nothing else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.storage = FileSystemStorage(location=settings.NODE_MODULES)
        self.storage.prefix = PREFIX  # type: ignore[attr-defined]

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        missing = [name for name in settings.PACKAGE_FILES if not self.storage.exists(name)]
        if not missing or not settings.NODE_MODULES.exists():
            return []
        hint = "Run `npm ci`, or correct PACKAGE_FILES."
        return [Error(f"No package has {name}.", hint, id="pushadmin.E001") for name in missing]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        name = path.removeprefix(PREFIX)
        known = path.startswith(PREFIX) and name in settings.PACKAGE_FILES
        found = [self.storage.path(name)] if known and self.storage.exists(name) else []
        return found if find_all else (found[0] if found else [])

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[tuple[str, Storage]]:
        for name in settings.PACKAGE_FILES:
            yield name, self.storage


class HashedStorage(CompressedManifestStaticFilesStorage):
    """WhiteNoise's storage without source maps: packages name maps that they do not ship."""

    patterns = tuple(
        (extension, [rule for rule in rules if "sourceMappingURL" not in str(rule)])
        for extension, rules in CompressedManifestStaticFilesStorage.patterns
    )
