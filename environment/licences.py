"""The licence of every package that the environment has: ``make licences``, a Markdown table."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, distributions

from tabulate import tabulate

from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError

UNSAID = ("", "UNKNOWN")
WORDS = 60
"""Characters of the longest name of a licence; what is longer is its text."""


def licence(package: Distribution) -> str:
    """A package's own word on its licence: an SPDX expression, a name, or its classifiers; empty where it has none."""
    about = package.metadata
    classified = (each.split(" :: ")[-1] for each in about.get_all("Classifier", []) if each.startswith("License ::"))
    named = (about.get("License-Expression", ""), about.get("License", ""), ", ".join(classified))
    return next((text for text in named if text not in UNSAID and len(text) <= WORDS and "\n" not in text), "")


def rows() -> Iterator[tuple[str, str, str]]:
    """(package, version, licence) of what is installed here, by name."""
    for package in sorted(distributions(), key=lambda each: each.name.lower()):
        yield package.name, package.version, licence(package) or _of_file(package)


def _of_file(package: Distribution) -> str:
    """The title of a package's licence file, or where that stands; :class:`InputError` for a package without one."""
    files = [each for each in package.files or [] if each.name.upper().startswith(("LICENSE", "LICENCE", "COPYING"))]
    if not files:
        raise InputError(f"{package.name} {package.version} does not say its licence: ask its authors, or leave it out")
    title = files[0].read_text(encoding="utf-8").strip().partition("\n")[0].strip()
    return title if "licen" in title.lower() and len(title) <= WORDS else f"see {files[0]}"


def main() -> None:
    """Print the table."""
    print(tabulate(rows(), headers=("package", "version", "licence"), tablefmt="github"))


if __name__ == "__main__":
    end_in_one_line(main)
