"""Where the demo's texts come from: real, mixed-quality texts that an installation from PyPI brings along.

What belongs here: finding texts, cutting them into documents, and their licences. Only texts whose licence permits
verbatim copies are taken. What does not: choosing a mix and writing crawl files (`harvest.py`).
"""

import ast
import bz2
import pydoc_data.topics
import re
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

SHORTEST = 300
LONGEST = 2600
PIECE = 1200  # characters at which a piece is complete; encoding time on two cores grows with it

OPEN_LICENSES = frozenset(
    ("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MPL-2.0", "PSF-2.0", "Python-2.0")
)
CLASSIFIED = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Sections that belong to an article's apparatus and read as lists of names.
APPARATUS = frozenset(
    ("see also", "references", "external links", "further reading", "notes", "bibliography", "sources", "footnotes")
)
GENERATED = (
    "*_pb2.py",
    "idna/*data.py",
    "pygments/lexers/_*_builtins.py",
    "rich/_emoji_codes.py",
    "rich/_unicode_data/unicode*.py",
)


@dataclass(frozen=True)
class SourceText:
    """A document to be: `origin` says where it stands on this machine, `license` is an SPDX expression."""

    source: str
    origin: str
    license: str
    text: str


def encyclopedia() -> Iterator[SourceText]:
    """Sections of 100 English Wikipedia articles of 2016 that gensim ships for its tests."""
    for file in _files("gensim", "enwiki-latest-pages-articles1*shortened.bz2"):
        with bz2.open(file) as dump:
            for title, markup in _articles(dump):
                for heading, section in _sections(markup):
                    for number, piece in enumerate(pieces(_plain_text(section))):
                        text = f"{title}: {heading}\n\n{piece}" if heading else f"{title}\n\n{piece}"
                        origin = f"en.wikipedia.org/wiki/{title.replace(' ', '_')}#{heading}-{number}"
                        yield SourceText("encyclopedia", origin, "CC-BY-SA-3.0", text)


def language_reference() -> Iterator[SourceText]:
    """The Python language reference as `help()` prints it."""
    for topic, content in sorted(pydoc_data.topics.topics.items()):
        for number, piece in enumerate(pieces(content.strip())):
            yield SourceText("language_reference", f"pydoc_data.topics:{topic}#{number}", "PSF-2.0", piece)


def python_code() -> Iterator[SourceText]:
    """Top-level functions and classes of the standard library."""
    library = Path(sysconfig.get_path("stdlib"))
    packages = ("asyncio", "collections", "concurrent/futures", "email", "http", "importlib", "json", "logging")
    for file in (f for folder in (".", *packages) for f in sorted((library / folder).glob("*.py"))):
        code = _read(file)
        lines = code.splitlines()
        for node in ast.parse(code).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            first = min(part.lineno for part in (node, *node.decorator_list))
            text = "\n".join(lines[first - 1 : node.end_lineno])
            if SHORTEST <= len(text) <= LONGEST:
                yield SourceText("python_code", f"{file.relative_to(library)}:{node.name}", "PSF-2.0", text)


def readme() -> Iterator[SourceText]:
    """The long descriptions of installed packages, at most five pieces of each."""
    for package, license_id in _open_packages():
        description = _metadata(package, "Description") or str(package.metadata.get_payload() or "")  # type: ignore[attr-defined]
        for number, piece in enumerate(list(pieces(description.strip()))[:5]):
            yield SourceText("readme", f"{package.name}-{package.version}:README#{number}", license_id, piece)


def license_text() -> Iterator[SourceText]:
    """Licence files of installed packages: boilerplate with near duplicates, as in any crawl."""
    for package, license_id in _open_packages():
        for file in package.files or ():
            if re.match(r"(LICEN[SC]E|COPYING|NOTICE)", file.name, re.IGNORECASE) and ".dist-info" in str(file):
                for number, piece in enumerate(pieces(_read(Path(str(package.locate_file(file)))))):
                    yield SourceText(
                        "license", f"{package.name}-{package.version}:{file.name}#{number}", license_id, piece
                    )


def generated_code() -> Iterator[SourceText]:
    """Code that programs wrote: protocol buffers, Unicode and character tables, word lists of lexers."""
    library = Path(sysconfig.get_path("stdlib"))
    for file in [*sorted((library / "encodings").glob("cp*.py")), library / "html" / "entities.py"]:
        for number, piece in enumerate(pieces(_read(file), "\n")):
            yield SourceText("generated_code", f"{file.relative_to(library)}#{number}", "PSF-2.0", piece)
    for package, license_id in _open_packages():
        for found in package.files or ():
            if any(found.match(pattern) for pattern in GENERATED):
                content = _read(Path(str(package.locate_file(found))))
                for number, piece in enumerate(list(pieces(content, "\n"))[:40]):
                    yield SourceText(
                        "generated_code", f"{package.name}-{package.version}:{found}#{number}", license_id, piece
                    )


def minified_js() -> Iterator[SourceText]:
    """Cuttings of the JavaScript bundles of Dagster's web server."""
    for file in _files("dagster-webserver", "*.js"):
        content = _read(file)
        if len(content) / (content.count("\n") + 1) > 500:
            for number, piece in enumerate(list(pieces(content, "\n"))[:30]):
                yield SourceText("minified_js", f"dagster-webserver:{file.name}#{number}", "Apache-2.0", piece)


SOURCES: Mapping[str, Callable[[], Iterator[SourceText]]] = {
    "encyclopedia": encyclopedia,
    "language_reference": language_reference,
    "python_code": python_code,
    "readme": readme,
    "license": license_text,
    "generated_code": generated_code,
    "minified_js": minified_js,
}


def pieces(text: str, separator: str = "\n\n") -> Iterator[str]:
    """Cut a text between its parts into pieces of PIECE characters or a little more; a short rest is left out.

    Only a part longer than LONGEST is cut within. So no piece is longer than PIECE + LONGEST.
    """
    gathered = ""
    for part in text.split(separator):
        step = PIECE if len(part) > LONGEST else LONGEST
        for start in range(0, len(part) or 1, step):
            gathered += (separator if gathered and start == 0 else "") + part[start : start + step]
            if len(gathered) >= PIECE:
                yield gathered.strip("\n")
                gathered = ""
    if len(gathered.strip()) >= SHORTEST:
        yield gathered.strip("\n")


def _articles(dump: Any) -> Iterator[tuple[str, str]]:
    """Title and markup of the articles of a MediaWiki export, without redirects and pages about the wiki."""
    for _, page in ElementTree.iterparse(dump):
        if not page.tag.endswith("}page"):
            continue
        fields = {element.tag.rpartition("}")[2]: element.text or "" for element in page.iter()}
        if fields["ns"] == "0" and "redirect" not in fields:
            yield fields["title"], fields["text"]
        page.clear()


def _sections(markup: str) -> Iterator[tuple[str, str]]:
    parts = re.split(r"^==+\s*(.+?)\s*==+\s*$", markup, flags=re.MULTILINE)
    for heading, section in zip(["", *parts[1::2]], parts[0::2], strict=True):
        if heading.lower() not in APPARATUS:
            yield heading, section


def _plain_text(markup: str) -> str:
    """Running text of wiki markup, without tables, references, images and templates."""
    import mwparserfromhell

    code = mwparserfromhell.parse(markup)
    aside = [tag for tag in code.filter_tags() if str(tag.tag).lower() in ("ref", "table", "gallery", "math")]
    media = [link for link in code.filter_wikilinks() if re.match(r"\s*(file|image|category):", str(link.title), re.I)]
    for node in (*aside, *media):
        if code.contains(node):  # it may have gone with the one around it
            code.remove(node)
    text = str(code.strip_code(normalize=True, collapse=True))
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]*\n[ \t]*", "\n", text)).strip()


def _open_packages() -> Iterator[tuple[Distribution, str]]:
    """Installed packages under a recognised open licence, by name."""
    for package in sorted(distributions(), key=lambda each: each.name.lower()):
        if license_id := _license(package):
            yield package, license_id


def _license(package: Distribution) -> str | None:
    """The SPDX id by which a package may be copied; None where its metadata does not say so plainly."""
    for header in ("License-Expression", "License"):
        declared = (_metadata(package, header) or "").strip()
        if declared in OPEN_LICENSES:
            return declared
    classified = {
        c.rpartition(" :: ")[2] for c in package.metadata.get_all("Classifier") or () if c.startswith("License")
    }
    known = [CLASSIFIED[name] for name in sorted(classified) if name in CLASSIFIED]
    return known[0] if len(known) == 1 and len(classified) == 1 else None


def _metadata(package: Distribution, header: str) -> str | None:
    values: list[Any] = package.metadata.get_all(header) or []
    return str(values[0]) if values else None


def _files(package: str, pattern: str) -> Iterable[Path]:
    """Files of an installed package, without importing it; none where it is not installed."""
    try:
        found = distribution(package).files or []
    except PackageNotFoundError:
        return []
    return sorted(Path(str(file.locate())) for file in found if file.match(pattern))


def _read(file: Path) -> str:
    """The file's text; nothing of a file that is not UTF-8, of which packages ship a few."""
    try:
        return file.read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return ""
