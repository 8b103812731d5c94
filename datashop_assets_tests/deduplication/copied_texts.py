"""Projects that deduplicate, and texts of which one is a copy with an edit."""

import json
from pathlib import Path
from typing import Any

from datashop_assets_tests.worlds import World, write_project

TEXT = (
    "The harbour was built by the monks of the abbey in the twelfth century, and the stones of its quay were brought "
    "over the sea from a quarry that nobody has found since. Ships of forty tons could lie there at low tide, which "
    "made the town rich as long as the herring came, and poor for three hundred years after they stayed away."
)
EDITED = TEXT.replace("stayed away", "stayed off")
OTHER = (
    "A compiler reads the source once, keeps what it has seen in a table, and writes code for a machine that has never "
    "been built. The students who wrote it in one summer were told that it could not be done, and believed it later."
)
EVERYTHING = {"exact": True, "near": {}, "paragraphs": {}, "contamination": {}}
JOBS = ("sign_documents", "deduplicate")


def line(text: str) -> str:
    return json.dumps({"text": text})


def world(folder: Path, deduplication: dict[str, Any], **changes: Any) -> World:
    write_project(folder, deduplication=deduplication, **changes)
    return World(folder)


def land(world: World, name: str, *texts: str) -> list[str]:
    """A shard with the texts, parsed; returns all shards."""
    world.land(name, lines=[line(text) for text in texts])
    shards = world.register()
    world.run("parse_and_embed_shards")
    return shards


def run_all(world: World) -> None:
    for job in JOBS:
        world.run(job)
