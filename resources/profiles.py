"""Profiles: where a project runs, and the resources that its assets get there. The only reader of the environment.

What belongs here: paths, credentials' names, the choice of implementation behind each seam. What does not: what is made
(`datashop.yaml`, read by `datashop_assets/project.py`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from datashop_assets.annealing.produce import Workshop
from datashop_assets.project import Project, ProjectError, load_project
from datashop_assets.seams import Exports, Launcher, Rater
from resources.encoders import TransformerEncoder
from resources.exports import open_exports
from resources.lake import DeltaLake, local_path
from resources.landing import FsspecLandingArea
from resources.language_models import LanguageModels, content_id, model_directory
from resources.launchers import SubprocessLauncher
from resources.model_files import LocalAndHubFiles
from resources.model_store import open_model_store
from resources.object_store import probe_conditional_put
from resources.pod_settings import PodSettings, load_pods
from resources.publishers import HubPublisher
from resources.raters import build_rater
from resources.raters.answer_cache import SqlAnswerCache
from resources.staging import FolderProgress
from resources.storage_environment import refuse_unsafe_storage
from resources.trackers import MlflowTracker
from resources.webhooks import HttpWebhook

# delta-rs reads these names; the values never leave this dict.
STORAGE_VARIABLES = (
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ALLOW_HTTP",
)
REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Profile:
    """Where things are kept. `home` is a local folder for everything that is not in the lake, the model store or the
    exports, and what is exported to S3 is made in it."""

    project_file: Path
    home: Path
    lake: str
    models: str
    exports: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    # The URL of the answers that raters keep, or None; not shown, for it may hold a password.
    rating_cache: str | None = field(default=None, repr=False)
    # What the model hub knows this project by, where it publishes; not shown.
    hub_token: str | None = field(default=None, repr=False)
    # The sizes of a cluster's pods; None: everything runs where it is launched.
    pods: PodSettings | None = None

    @property
    def releases(self) -> Path:
        """The local folder in which releases are made, and stay unless the exports are on S3."""
        return (local_path(self.exports) or self.home) / "releases"

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    @property
    def staging(self) -> Path:
        return self.home / "staging"

    @property
    def work(self) -> Path:
        return self.home / "work"


def laptop(project_file: Path, home: Path | None = None) -> Profile:
    """The embedded profile: everything in one folder beside the project file."""
    home = home or project_file.resolve().parent / ".datashop"
    answers = f"sqlite:///{home / 'rating_cache.db'}"
    lake, models = str(home / "lake"), str(home / "models")
    return Profile(project_file.resolve(), home, lake, models, exports=str(home), rating_cache=answers)


def profile_from_environment(environment: Mapping[str, str] = os.environ) -> Profile:
    """The profile that the environment asks for.

    DATASHOP_PROJECT: the project file (default: `datashop.yaml` in the checkout). DATASHOP_HOME: the local folder
    (default: `.datashop` beside the project file). DATASHOP_LAKE, DATASHOP_MODELS: a path or s3:// URL each (default:
    below the home). DATASHOP_EXPORTS: a path or s3:// URL below which releases, summaries and subsets lie (default: the
    home). DATASHOP_RATING_CACHE: a sqlite:/// or postgresql+psycopg2:// URL, or `none` (default:
    `rating_cache.db` in the home). HF_TOKEN: the model hub's token, for publishing. S3 credentials and endpoint: the
    AWS_* variables. DATASHOP_PODS: on a cluster, the file with its pods' sizes (default: none, and nothing of
    Kubernetes is touched).
    """
    refuse_unsafe_storage(environment)
    project_file = Path(environment.get("DATASHOP_PROJECT", REPOSITORY / "datashop.yaml"))
    home = environment.get("DATASHOP_HOME")
    base = laptop(project_file, Path(home).resolve() if home else None)
    options = {name: environment[name] for name in STORAGE_VARIABLES if environment.get(name)}
    places = {"DATASHOP_LAKE": base.lake, "DATASHOP_MODELS": base.models, "DATASHOP_EXPORTS": base.exports}
    places = {name: environment.get(name, default) for name, default in places.items()}
    for name, uri in places.items():
        if local_path(uri) is None and not uri.startswith("s3://"):
            raise ProjectError(f"{name} is {uri!r}; it must be a local path or s3://bucket/prefix")
    answers = environment.get("DATASHOP_RATING_CACHE") or base.rating_cache
    cache = None if answers == "none" else answers
    lake, models, exports = places.values()
    token = environment.get("HF_TOKEN")
    return Profile(base.project_file, base.home, lake, models, exports, options, cache, token, _pods(environment))


def _pods(environment: Mapping[str, str]) -> PodSettings | None:
    """Raises PodsError where the pods file cannot be used."""
    file = environment.get("DATASHOP_PODS")
    return load_pods(Path(file)) if file else None


def dagster_home(profile: Profile) -> Path:
    """The DAGSTER_HOME of the profile's project, made where it is missing, with the checkout's `dagster.yaml`.

    Below the home, because the partitions are the project's: two projects on one instance would each see shards that
    their lake does not know.
    """
    folder = profile.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    wanted, settings = (REPOSITORY / "dagster.yaml").read_bytes(), folder / "dagster.yaml"
    if not settings.is_file() or settings.read_bytes() != wanted:
        settings.write_bytes(wanted)
    return folder


def build_resources(profile: Profile, project: Project) -> dict[str, Any]:
    """The resources of every asset, by the names that the assets ask for. Nothing is opened, listed or loaded yet.

    The first run or sensor of a process that asks for a lake on S3 probes that store, once: one on which commits would
    vanish is refused with UnsafeObjectStoreError before anything is written.
    """

    answers = None if profile.rating_cache is None else SqlAnswerCache(profile.rating_cache)

    @cache
    def raters(name: str) -> Rater:
        if name not in project.raters:
            raise ProjectError(f"no rater {name!r} in {profile.project_file}; known: {sorted(project.raters)}")
        return build_rater(project.raters[name], profile.cache, answers)

    def staging(*parts: str) -> FolderProgress:
        return FolderProgress(profile.staging.joinpath(*parts))

    def base_model() -> tuple[str, Path | str]:
        reference = project.anneal.model
        return content_id(reference), model_directory(reference, profile.cache)

    @cache
    def lake() -> DeltaLake:
        return open_lake(profile)

    models = open_model_store(profile.models, profile.cache, profile.storage_options)
    resources: dict[str, Any] = {
        "landing": FsspecLandingArea(),
        "encoder": TransformerEncoder(project.encoder, cache=profile.cache),
        "exact_encoder": TransformerEncoder(project.encoder.exact, cache=profile.cache),
        "raters": raters,
        "staging": staging,
        "models": models,
        "model_files": LocalAndHubFiles(),
        "publisher": HubPublisher(profile.hub_token),
        "tracker": _tracker(project),
        "webhook": _webhook(project),
        "workshop": Workshop(_launcher(profile), models, base_model, profile.work),
        "scratch": (profile.staging, profile.work),
        "releases": exports_of(profile, "releases"),
        "summaries": exports_of(profile, "summaries"),
        "subsets": exports_of(profile, "subsets"),
        "language_models": LanguageModels(project.anneal.model, profile.cache),
    }
    made = {name: dg.ResourceDefinition.hardcoded_resource(value) for name, value in resources.items()}
    return made | {"lake": dg.ResourceDefinition(lambda _: lake())}


def _launcher(profile: Profile) -> Launcher:
    """Workers are pods on a cluster, else child processes."""
    if profile.pods is None:
        return SubprocessLauncher()
    from resources.pod_launcher import PodLauncher  # Kubernetes' client takes a second to import

    return PodLauncher(profile.pods)


def _tracker(project: Project) -> MlflowTracker | None:
    """The project's tracker, or None: nothing is told to anyone."""
    asked = project.tracker
    return None if asked is None else MlflowTracker(asked.uri, asked.experiment or project.name)


def _webhook(project: Project, environment: Mapping[str, str] = os.environ) -> HttpWebhook | None:
    """Who is told of failures, or None: nobody."""
    variable = project.automation.webhook_url_env
    return None if variable is None else HttpWebhook(variable, environment.get(variable))


def exports_of(profile: Profile, kind: str) -> Exports:
    """The profile's exports of a kind: releases, summaries, subsets. Nothing is opened or listed yet."""
    return open_exports(f"{profile.exports.rstrip('/')}/{kind}", profile.home / kind, profile.storage_options)


def open_lake(profile: Profile) -> DeltaLake:
    """The profile's lake. One on S3 is probed, and refused with UnsafeObjectStoreError where commits would vanish."""
    if local_path(profile.lake) is None:
        probe_conditional_put(profile.lake, profile.storage_options)
    return DeltaLake(profile.lake, profile.storage_options)


def project_of(profile: Profile) -> Project:
    return load_project(profile.project_file)


if __name__ == "__main__":
    print(dagster_home(profile_from_environment()))  # noqa: T201 - for `make ui`
