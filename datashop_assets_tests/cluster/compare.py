"""The cluster's release beside the one that the laptop profile makes from the same annotations."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import yaml

from datashop_assets_tests.cluster.install import RATER_KEY, project
from datashop_assets_tests.cluster.place import FOLDER, address, facts, say
from datashop_assets_tests.cluster.steps import crawl_file
from datashop_assets_tests.slow.small_project import LENS
from resources.object_store import s3_client
from resources.profiles import REPOSITORY, dagster_home, laptop

NEAR = 1e-5


def laptop_release(files: int) -> pl.DataFrame:
    """All steps in this machine's own processes; every answer of the rater comes out of the cluster's cache."""
    home = FOLDER / "laptop"
    shutil.rmtree(home, ignore_errors=True)
    landing = home / "landing"
    landing.mkdir(parents=True)
    for number in range(files):
        (landing / f"part-{number:02d}.parquet").write_bytes(crawl_file(number))
    content = project(str(landing), address("vllm", 8000), str(FOLDER / "home" / "lenses"))
    file = home / "datashop.yaml"
    file.write_text(yaml.safe_dump(content))
    reached = facts()
    profile = laptop(file, home / "home")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DATASHOP_", "AWS_"))}
    environment = inherited | {
        "DATASHOP_PROJECT": str(file),
        "DATASHOP_HOME": str(profile.home),
        "DAGSTER_HOME": str(dagster_home(profile)),
        "DATASHOP_RATING_CACHE": (
            f"postgresql+psycopg2://dagster:{reached['postgres_password']}@127.0.0.1:{reached['postgres_port']}/ratings"
        ),
        "VLLM_API_KEY": RATER_KEY,
        "HF_HUB_OFFLINE": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "datashop_assets_tests.cluster.laptop"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout[-1000:] + done.stderr[-4000:])
    (manifest,) = (home / "home" / "releases" / LENS).glob("*/manifest.json")
    return pl.read_parquet(manifest.parent / "data" / "*.parquet")


def cluster_release() -> pl.DataFrame:
    """The newest release on the bucket."""
    reached = facts()
    client, prefix = s3_client(reached), f"exports/releases/{LENS}/"
    found = client.list_objects_v2(Bucket=reached["bucket"], Prefix=prefix)["Contents"]
    newest = max(found, key=lambda each: each["LastModified"])["Key"].removeprefix(prefix).split("/")[0]
    folder = FOLDER / "cluster-release"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for each in found:
        name = Path(each["Key"]).name
        if each["Key"].startswith(f"{prefix}{newest}/data/") and name.endswith(".parquet"):
            client.download_file(reached["bucket"], each["Key"], str(folder / name))
    return pl.read_parquet(folder / "*.parquet")


def compare(files: int) -> None:
    """Raises AssertionError where ids differ, or a score by more than 1e-5."""
    started = time.monotonic()
    here, there = laptop_release(files), cluster_release()
    say(f"laptop profile: all steps in {time.monotonic() - started:.0f} s, release of {len(here)} documents")
    assert set(here["id"]) == set(there["id"]), (
        f"other ids: {len(set(here['id']) - set(there['id']))} only on the laptop, "
        f"{len(set(there['id']) - set(here['id']))} only on the cluster"
    )
    both = here.select("id", "score").join(there.select("id", "score"), on="id", suffix="_there")
    apart = both.select((pl.col("score") - pl.col("score_there")).abs().max()).item()
    assert apart <= NEAR, f"scores are up to {apart} apart"
    say(f"the releases are the same: {len(there)} ids, scores at most {apart:.1e} apart (bound {NEAR:.0e})")
