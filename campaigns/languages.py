"""Which of a bulk's contents a device gets."""

from typing import Any


def choose(contents: list[dict[str, Any]], language: str, variant: int) -> dict[str, Any]:
    """The content for a device: its language, that language's root, else the default one."""
    of_variant = [each for each in contents if each.get("variant", 0) == variant] or contents
    by_language = {each.get("language", ""): each for each in of_variant}
    root = language.replace("_", "-").split("-")[0]
    return (
        by_language.get(language) or by_language.get(root) or by_language.get("") or of_variant[0]
    )
