"""Run in a process of its own: uses S3 with every client of datashop, by what the environment alone says."""

import sys
from pathlib import Path

import polars as pl

from datashop_assets.project import Landing
from datashop_assets.records import TableSpec
from resources.landing import FsspecLandingArea
from resources.model_store import open_model_store
from resources.profiles import open_lake, profile_from_environment

TABLE = TableSpec("things", {"shard": pl.String, "id": pl.String}, partition_by=("shard",), key="id")


def main() -> None:
    """Prints what each client did: boto3, delta-rs, Polars, s3fs."""
    folder = Path(sys.argv[1])
    profile = profile_from_environment()
    lake = open_lake(profile)  # boto3's probe
    lake.commit(TABLE, pl.DataFrame([("s", "x")], schema=TABLE.schema, orient="row"), [{"shard": "s"}], {})
    rows = lake.read(TABLE).height
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    models = open_model_store(profile.models, folder / "cache", profile.storage_options)
    model = models.fetch(models.put("m/1", folder / "model")).joinpath("config.json").read_text()
    landing = Landing(dataset="crawl", url=profile.models)
    sys.stdout.write(f"rows {rows}\nmodel {model}\nlanding {FsspecLandingArea().look(landing).unknown}\n")


if __name__ == "__main__":
    main()
