"""A tiny project, real in every part but its models: crawl files, lens folders, a Delta lake, a Dagster instance.

The rater is a script that counts teaching words, the encoder counts hashed words, so that a linear head can learn what
the rater does. Every run goes through the project's own definitions and jobs.
"""

import atexit
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import polars as pl
import yaml

from datashop_assets.automation.reconcile import Work, stale_work
from datashop_assets.automation.sensors import register_and_add_partitions
from datashop_assets.classifier.head import Head
from datashop_assets.corpus.registration import Registration, register_new_shards
from datashop_assets.definitions import build_defs
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.graph import Graph, load_graph
from datashop_assets.partitions import SHARDS, range_tags
from datashop_assets.rating.lens import Lens
from datashop_assets.records import TableSpec
from datashop_assets.tables import TABLES
from resources.encoders import ScriptedEncoder
from resources.lake import DeltaLake
from resources.landing import FsspecLandingArea
from resources.profiles import Profile, laptop, project_of
from resources.raters.scripted import ScriptedRater

LENSES = ("clarity", "teaching")
DATASET = "crawl"
TEACHING = ("because", "explains", "example", "therefore", "reason", "shows", "learn", "means")
JUNK = ("click", "cookies", "login", "cart", "banner", "footer", "subscribe", "share")
SHARD_JOBS = ("parse_and_embed_shards", "parse_shards", "sign_documents", "deduplicate")
GRID_JOBS = (
    *("rate_documents", "label_documents", "score_documents", "filter_documents"),
    *("measure_attributes", "derive_attributes"),
)


def document(number: int) -> str:
    """A text of twelve words, `2 * (number % 6)` of them teaching words: worth `number % 6`."""
    chance = random.Random(number)
    good = 2 * (number % 6)
    words = chance.choices(TEACHING, k=good) + chance.choices(JUNK, k=12 - good)
    return f"doc{number} " + " ".join(words)


def worth(text: str) -> float:
    return sum(word in TEACHING for word in text.split()) / 2


def write_lens(library: Path, name: str, prompt: str = "Rate from {{ low }} to {{ high }}:\n{{ document }}") -> None:
    folder = library / name
    folder.mkdir(parents=True, exist_ok=True)
    header = {"title": name.title(), "description": f"How much {name}.", "scale": [0, 5], "positive_at": 3}
    (folder / "lens.yaml").write_text(yaml.safe_dump(header))
    (folder / "system.jinja").write_text("You rate.")
    (folder / "prompt.jinja").write_text(prompt)
    (folder / "exemplars.yaml").write_text("[]")


def write_project(folder: Path, **changes: Any) -> Path:
    """A project file with two lenses of its own; `changes` replace its top-level keys."""
    for lens in LENSES:
        write_lens(folder / "lenses", lens)
    (folder / "landing").mkdir(exist_ok=True)
    served = {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    lens = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}
    content = {
        "name": "tiny",
        # Every file is a shard of its own.
        "landings": [{"dataset": DATASET, "url": "landing", "shard_bytes": 1, "settle_s": 0}],
        "lens_folders": ["lenses"],
        "raters": {"scripted": served, "other": served | {"model": "n"}},
        "lenses": {"teaching": lens, "clarity": lens},
    }
    file = folder / "datashop.yaml"
    file.write_text(yaml.safe_dump(content | changes))
    return file


@dataclass(frozen=True)
class ExportableEncoder(ScriptedEncoder):
    """The scripted encoder as training asks for it. It has no files: `light_export` writes none of them."""

    settings: EncoderSettings = field(default_factory=EncoderSettings)

    def local_directory(self) -> Path:
        return Path("/nowhere")


class WordCounter:
    """In place of the language models: a word is a token, and there is no model to read with."""

    def id(self, reference: str | None = None) -> str:
        return reference or "words"

    def load(self, reference: str | None = None) -> tuple[Any, Any]:
        raise AssertionError("no strategy of these tests reads with a model")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def tokenizer(self, reference: str | None = None) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(reference)


def light_export(
    directory: Path, encoder_dir: Path, settings: EncoderSettings, head: Head, lens: Lens, report: Any
) -> None:
    """In place of the export for sentence-transformers: the head alone, which is all that scoring reads."""
    directory.mkdir(parents=True, exist_ok=True)
    head.save(directory)


@dataclass
class Kept:
    """A project's folder and Dagster records after some steps; no folder before they were first taken."""

    folder: Path | None = None
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)


def copy_records(source: dg.DagsterInstance, target: dg.DagsterInstance) -> None:
    """Runs, events and partitions of one ephemeral instance into another, over what that one has."""
    events: tuple[Any, Any] = source.event_log_storage, target.event_log_storage
    runs: tuple[Any, Any] = source.run_storage, target.run_storage
    for read, written in (events, runs):
        read._held_conn.connection.driver_connection.backup(written._held_conn.connection.driver_connection)
    events[1]._storage_id = events[0]._storage_id


class World:
    """One project and everything around it. `judge` is what the scripted raters do; change it to change them."""

    _kept: ClassVar[dict[Hashable, Kept]] = {}

    def __init__(self, folder: Path, profile: Profile | None = None, **overrides: Any) -> None:
        self.folder = folder
        self.profile = profile or laptop(folder / "datashop.yaml")
        self.judge: Callable[[str], float | str] = worth
        self.raters = {name: ScriptedRater(lambda text: self.judge(text), name) for name in ("scripted", "other")}
        self.encoder = ExportableEncoder()
        self.overrides = overrides
        self.instance = dg.DagsterInstance.ephemeral()
        self.lake = DeltaLake(self.profile.lake, self.profile.storage_options)
        self.reload()

    def reload(self) -> None:
        """Read project file and lens folders again, as a reloaded code location does."""
        self.graph: Graph = load_graph(project_of(self.profile))
        resources = {
            "encoder": self.encoder,
            "raters": self.raters.__getitem__,
            "language_models": WordCounter(),
        } | self.overrides
        wrapped = {name: dg.ResourceDefinition.hardcoded_resource(value) for name, value in resources.items()}
        self.defs = build_defs(self.profile, wrapped)

    def change_project(self, **changes: Any) -> None:
        file = self.profile.project_file
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | changes))
        self.reload()

    def land(self, name: str, numbers: Sequence[int] = (), lines: Sequence[str] = ()) -> Path:
        """A crawl file with these documents, and `lines` as they are."""
        file = self.folder / "landing" / f"{name}.jsonl"
        file.write_text("\n".join([json.dumps({"text": document(n)}) for n in numbers] + list(lines)) + "\n")
        return file

    def land_shards(self, count: int, documents: int = 40, start: int = 0) -> None:
        for shard in range(start, start + count):
            self.land(f"part-{shard:03d}", range(shard * documents, (shard + 1) * documents))
        self.register()

    def register(self) -> list[str]:
        """What the landing sensor does; returns all shards."""
        _, missing = register_and_add_partitions(
            self.instance, self.lake, self.graph, FsspecLandingArea(), {"asset": "landing_files"}
        )
        self.instance.add_dynamic_partitions(str(SHARDS.name), missing)
        return self.shards

    def look(self) -> Registration:
        """A look at the landings, as the landing sensor takes it."""
        return register_new_shards(self.lake, self.graph.project, FsspecLandingArea().look, time.time(), {})

    @property
    def shards(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions(str(SHARDS.name)))

    def run(
        self,
        job: str,
        lens: str | None = None,
        *,
        shards: Sequence[str] | None = None,
        config: Mapping[str, Any] | None = None,
        fails: bool = False,
    ) -> dg.ExecuteInProcessResult:
        """One run of a job over the shards (all of them where none are named). A run that fails unasked raises."""
        tags, key = {}, lens
        if job in GRID_JOBS or job in SHARD_JOBS:
            mine = shards or self.shards
            tags, key = range_tags(lens, mine[0], mine[-1]), None
        result = self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags=tags,
            partition_key=key,
            run_config={"ops": {op: {"config": dict(values)} for op, values in (config or {}).items()}},
            raise_on_error=not fails,
        )
        assert result.success is not fails, f"{job} was expected to {'fail' if fails else 'succeed'}"
        return result

    def promote(self, lens: str, **config: str | bool) -> dg.ExecuteInProcessResult:
        """The promotion alone, as a person materializes it, successful or not."""
        return dg.materialize(
            [asset for asset in self.defs.assets or [] if isinstance(asset, dg.AssetsDefinition)],
            selection=["promotion"],
            instance=self.instance,
            partition_key=lens,
            resources=self.defs.resources,
            run_config={"ops": {"promotion": {"config": config}}},
            raise_on_error=False,
        )

    def run_all(self, *lenses: str) -> None:
        """From landing files to a release of each lens."""
        self.run("parse_and_embed_shards")
        for lens in lenses:
            self.run("rate_documents", lens)
            self.run("train_and_promote_classifier", lens)
            self.run("score_documents", lens)
            self.run("set_cutoff", lens)
            self.run("filter_documents", lens)
            self.run("cut_release", lens)

    def once(self, steps: Callable[..., None], *given: Hashable) -> "World":
        """Take steps that many tests begin with; where another test of this process has taken them from the same
        project file, have what they left.

        They are told by their function and what it is given beside the world, and may change files and tables alone:
        what is set on the world itself is set before or after.
        """
        kept = self._kept.setdefault((steps, given, self.profile.project_file.read_text()), Kept())
        if kept.folder is None:
            steps(self, *given)
            kept.folder = Path(tempfile.mkdtemp(prefix="datashop-world-"))
            atexit.register(shutil.rmtree, kept.folder, ignore_errors=True)
            shutil.copytree(self.folder, kept.folder, dirs_exist_ok=True)
            copy_records(self.instance, kept.instance)
        else:
            shutil.copytree(kept.folder, self.folder, dirs_exist_ok=True)
            copy_records(kept.instance, self.instance)
            self.reload()
        return self

    def stale(self) -> list[Work]:
        raters = self.raters.__getitem__
        return stale_work(self.lake, self.graph, self.encoder.id, self.shards, raters=raters)

    def reconcile(self) -> list[str]:
        """Run what is stale until nothing is, as the reconcile sensor does; returns the jobs that ran, in order."""
        ran = []
        while work := self.stale():
            for item in work:
                inside = self.shards.index(item.stretch.first), self.shards.index(item.stretch.last)
                self.run(item.job, item.stretch.lens, shards=self.shards[inside[0] : inside[1] + 1])
                ran.append(item.job)
            assert len(ran) < 50, f"work is planned for ever: {work}"
        return ran

    def table_versions(self) -> dict[str, int | None]:
        """The version of every table that the project can have."""
        tables: list[TableSpec] = []
        for table in TABLES:
            tables += [table, *(table.of(part) for part in (*self.graph.lenses, self.encoder.id))]
        return {table.name: version for table in tables if (version := self.lake.version(table)) is not None}

    def read(self, table: TableSpec) -> pl.DataFrame:
        return self.lake.read(table)


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str | None, dict[str, Any]]:
    """The metadata of each materialization of an asset in the run, by partition key."""
    return {
        event.partition: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(asset)
    }


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the first failed step says, from its innermost error."""
    error = next(event.step_failure_data.error for event in result.all_events if event.is_step_failure)
    while error is not None and error.cause is not None:
        error = error.cause
    return str(error.message) if error else ""


def promote_for_four_shards(world: World) -> None:
    """All that comes before scoring."""
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    world.run("train_and_promote_classifier", "teaching")
