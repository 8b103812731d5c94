"""What is stale, looked at by a process of its own: what importing the definitions and planning take, and the memory.

    DAGSTER_HOME=... DATASHOP_PROJECT=... DATASHOP_HOME=... python -m benchmarks.automation_plan

What belongs here: one look, and its figures as one JSON object. What does not: the lake and the instance that it looks
at (`automation_lake.py`, `automation_instance.py`).
"""

import json
import sys
import time
from collections import Counter
from typing import Any


def main() -> None:
    started, cpu = time.perf_counter(), time.process_time()
    import datashop_assets.definitions  # noqa: F401 - importing it is what is measured

    told: dict[str, Any] = {"import_s": time.perf_counter() - started, "import_cpu_s": time.process_time() - cpu}

    import dagster as dg

    from benchmarks.scoring_alone import peak_gb
    from datashop_assets.automation.reconcile import stale_work
    from datashop_assets.graph import load_graph
    from datashop_assets.partitions import SHARDS
    from resources.encoders import TransformerEncoder
    from resources.lake import DeltaLake
    from resources.profiles import profile_from_environment, project_of

    profile = profile_from_environment()
    graph = load_graph(project_of(profile))
    told["imported_mb"] = peak_gb() * 1000
    with dg.DagsterInstance.get() as instance:
        started, cpu = time.perf_counter(), time.process_time()
        shards = list(instance.get_dynamic_partitions(str(SHARDS.name)))
        encoder = TransformerEncoder(graph.project.encoder).id
        work = stale_work(DeltaLake(profile.lake), graph, encoder, shards)
        told |= {"plan_s": time.perf_counter() - started, "plan_cpu_s": time.process_time() - cpu}
    stale = sum(item.stretch.stale for item in work)
    told |= {
        "plan_peak_mb": peak_gb() * 1000,
        "shards": len(shards),
        "runs": len(work),
        "runs_by_job": Counter(item.job for item in work),
        "stale": stale,
        "cells": sum(item.stretch.cells for item in work),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
