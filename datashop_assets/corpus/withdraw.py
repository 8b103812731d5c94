"""`python -m datashop_assets.corpus.withdraw SHARD --reason TEXT`: take back a shard, e.g. with a damaged file.

What belongs here: the command line. What does not: what a withdrawal is (`registry.py`).
"""

import argparse
import getpass
import sys
from collections.abc import Sequence

from datashop_assets.corpus.registry import UnknownShardError, WithdrawalError, withdraw_shard


def main(arguments: Sequence[str] | None = None) -> int:
    """Withdraw one shard of the lake that the environment names; returns the exit status."""
    from resources.lake import DeltaLake
    from resources.profiles import profile_from_environment

    parser = argparse.ArgumentParser(
        prog="python -m datashop_assets.corpus.withdraw",
        description="Take back a shard, e.g. one with a half-copied file. Put whole files in place, or take them away, "
        "first: what then lies in the landing is registered anew by the landing sensor, once it has settled.",
    )
    parser.add_argument("shard", help="its partition key, e.g. crawl-00002")
    parser.add_argument("--reason", required=True, help="kept in the table `withdrawn_shards`")
    parser.add_argument("--force", action="store_true", help="also a shard that has documents; they rest from then on")
    given = parser.parse_args(arguments)
    profile = profile_from_environment()
    lake = DeltaLake(profile.lake, profile.storage_options)
    try:
        shard = withdraw_shard(lake, given.shard, given.reason, getpass.getuser(), force=given.force)
    except (UnknownShardError, WithdrawalError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    files = ", ".join(file.path for file in shard.files[:5]) + (" and more" if len(shard.files) > 5 else "")
    print(f"{shard.shard} is withdrawn. Of its files ({files}), those in the landing become a new shard")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
