"""`python -m datashop_assets.rating.lenses new|show|check|convert`: write lens folders and see what they ask.

What belongs here: the command's arguments and the printing. What does not: loading (`lens_folder.py`), rendering
(`rendering.py`), the texts of a new lens (`lens_scaffold.py`), reading other formats (`lens_converters.py`).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from datashop_assets.graph import SHIPPED_LENSES
from datashop_assets.project import ProjectError, load_project
from datashop_assets.rating.answers import answer_schema
from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import DocumentType, Lens, LensError, Mode
from datashop_assets.rating.lens_converters import convert_classified, convert_rubric
from datashop_assets.rating.lens_folder import NAME, NAME_RULE, LensFault, LensFolderError, load_lens, load_lenses
from datashop_assets.rating.lens_scaffold import Kind, scaffold
from datashop_assets.rating.questions import QuestionError
from datashop_assets.rating.reading import read_documents
from datashop_assets.rating.rendering import adapts_to_its_mode, messages, placeholder, replaced_characters
from datashop_assets.records import DOCUMENTS
from resources.profiles import open_lake, profile_from_environment


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and do it; returns the exit status, 1 with a message where something is wrong."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.do(options))
    except (LensError, ProjectError, QuestionError, OSError, LookupError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _new(options: argparse.Namespace) -> int:
    folder = _new_folder(options.library, options.name)
    scaffold(folder, options.kind, options.document_type, options.language)
    load_lens(folder)
    _say(
        f"{folder}: fill in lens.yaml and prompt.jinja; look at it with `show {folder}`, test it with `check {folder}`"
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    lens = _lens(options.lens)
    if options.mode:
        lens = replace(lens, mode=options.mode)
    document = _document(options, lens)
    for message in messages(lens, document):
        _say(f"--- {message['role']}\n{message['content']}\n")
    if lens.mode == "expected_score":
        _say(f"--- answers\none token of {[str(n) for n in range(lens.overall.low, lens.overall.high + 1)]}")
    else:
        _say(f"--- schema\n{json.dumps(answer_schema(lens, lens.mode), indent=2, ensure_ascii=False)}")
    _say(f"--- lens {lens.name}, version {lens.version}, {lens.kind}s, mode {lens.mode}")
    if count := replaced_characters(document):
        _say(f"--- {count} characters of the document that no text can hold (NUL, lone surrogates) are shown as U+FFFD")
    if len(document.text) > lens.max_chars:
        _say(f"--- the document has {len(document.text):,} characters; the lens shows the first {lens.max_chars:,}")
    if lens.chunking.strategy != "whole":
        _say(f"--- a rater asks about {lens.chunking.strategy} of a long document; here it is shown in one")
    return 0


def _check(options: argparse.Namespace) -> int:
    sound: list[Lens] = []
    faults: list[LensFault] = []
    for folder in options.folders or _libraries():
        if (folder / "lens.yaml").is_file() or (folder.is_dir() and any(folder.glob("*.jinja"))):
            try:
                sound.append(load_lens(folder))
            except LensFolderError as error:
                faults += error.faults
        else:
            library = load_lenses([folder])
            sound += library.lenses.values()
            faults += [fault for found in library.faults.values() for fault in found]
    for fault in faults:
        _say(str(fault))
    for lens in sound:
        if not adapts_to_its_mode(lens):
            _say(f"note: lens {lens.name!r} never uses answer_format: what it asks for does not follow its mode")
    _say(f"{len(sound)} lenses without a fault, {len(faults)} faults in others")
    return 1 if faults or not sound else 0


def _convert(options: argparse.Namespace) -> int:
    folder = _new_folder(options.library, options.name or options.source.stem.lower().replace(" ", "_"))
    scale = tuple(options.scale) if options.scale else None
    if options.source.is_dir():
        notes = convert_classified(options.source, folder, scale, options.positive_at)
    else:
        convert_rubric(options.source.read_text(encoding="utf-8"), folder, scale, options.positive_at)
        notes = [
            "what the rubric itself says of the answer's form is kept; the form that is read is asked for below it"
        ]
    lens = load_lens(folder)
    criteria = ", ".join(f"{c.name} {c.low}-{c.high}" for c in lens.asked)
    _say(f"{folder}: {criteria}; good from {lens.positive_at:g} on. Look at it with `show {folder}`.")
    for note in notes:
        _say(f"note: {note}")
    return 0


def _new_folder(library: Path, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise LensError(f"{name!r} is no name for a lens: {NAME_RULE}")
    if (library / name).exists():
        raise LensError(f"there is a {library / name} already")
    return library / name


def _libraries() -> list[Path]:
    """The shipped lenses and those of the project, where there is a project file."""
    file = profile_from_environment().project_file
    own = [Path(folder) for folder in load_project(file).lens_folders] if file.is_file() else []
    return [SHIPPED_LENSES, *own]


def _lens(given: str) -> Lens:
    """A lens by its folder, or by its name in the libraries."""
    if Path(given).is_dir():
        return load_lens(Path(given))
    library = load_lenses(_libraries())
    if given in library.faults:
        raise LensFolderError(given, library.faults[given])
    if given not in library.lenses:
        raise LensError(f"there is no lens {given!r}; known are {sorted(library.lenses)}, or give its folder")
    return library.lenses[given]


def _document(options: argparse.Namespace, lens: Lens) -> Document:
    """The document that was asked for: a text, a file, a row of the lake, or one that only marks its place."""
    if options.document is not None:
        if options.shard is None:
            raise ValueError("--document needs --shard: ids are unique within a shard")
        return _from_lake(options.document, options.shard)
    if options.text is not None:
        given = options.text
    elif options.file is not None:
        given = options.file.read_bytes().decode("utf-8", "surrogateescape")
    else:
        return placeholder(lens)
    if not lens.input_fields:
        return Document(given)
    fields = json.loads(given)
    if not isinstance(fields, dict):
        raise ValueError(f"lens {lens.name!r} needs a record: a JSON object with {list(lens.input_fields)}")
    return Document("", fields)


def _from_lake(document: str, shard: str) -> Document:
    lake = open_lake(profile_from_environment())
    wanted = lake.scan(DOCUMENTS, {"shard": [shard]}).select("id", "chars").collect()
    wanted = wanted.filter(wanted["id"] == document)
    if wanted.is_empty():
        raise LookupError(f"shard {shard!r} of the lake has no document {document!r}")
    return next(read_documents(lake, shard, None, wanted))


def _say(line: str) -> None:
    # A document may hold what a terminal cannot show.
    print(line.encode("utf-8", "replace").decode("utf-8"))  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m datashop_assets.rating.lenses", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="new|show|check|convert")

    new = commands.add_parser("new", help="write a lens folder to fill in")
    new.add_argument("name")
    new.add_argument("--kind", choices=get_args(Kind), default="score")
    new.add_argument("--type", choices=get_args(DocumentType), default="pretrain", dest="document_type")
    new.add_argument("--language", default="en")
    new.add_argument(
        "--library", type=Path, default=Path("lenses"), help="the folder of lens folders (default: lenses)"
    )
    new.set_defaults(do=_new)

    show = commands.add_parser("show", help="print what is asked of a document, and the schema of the answer")
    show.add_argument("lens", help="a name, or a lens folder")
    show.add_argument("--mode", choices=get_args(Mode), help="instead of the lens's own")
    given = show.add_mutually_exclusive_group()
    given.add_argument("--text", help="the document; for a lens with input_fields a JSON object")
    given.add_argument("--file", type=Path, help="a file with the same")
    given.add_argument("--document", metavar="ID", help="a document of the project's lake, with --shard")
    show.add_argument("--shard")
    show.set_defaults(do=_show)

    check = commands.add_parser("check", help="print the faults of lens folders; fails where there are any")
    check.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="lens folders or libraries (default: the project's)"
    )
    check.set_defaults(do=_check)

    convert = commands.add_parser(
        "convert", help="a rubric with {example}, or a folder of Classified, as a lens folder"
    )
    convert.add_argument("source", type=Path, help="a text file, or a folder with config.json and function.json")
    convert.add_argument("--name", help="of the lens (default: the source's)")
    convert.add_argument("--library", type=Path, default=Path("lenses"), help="where to put it (default: lenses)")
    convert.add_argument("--scale", type=int, nargs=2, metavar=("LOWEST", "HIGHEST"))
    convert.add_argument("--positive-at", type=float)
    convert.set_defaults(do=_convert)
    return parser


if __name__ == "__main__":
    sys.exit(main())
