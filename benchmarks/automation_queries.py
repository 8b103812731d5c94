"""What the pages of Dagster's UI ask of the web server, timed over its own HTTP application.

What belongs here: the queries of the pages that a user meets, the fields that the pages show. What does not: the events
that they read (`automation_instance.py`), which figures are reported (`automation.py`).

The web server's application runs in this process, with the code location in another as always; a request goes through
its routes and its JSON, and over no socket.
"""

import statistics
import time
from collections.abc import Mapping
from typing import Any

from dagster._core.workspace.context import WorkspaceProcessContext
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.testclient import TestClient

ASSET_GRAPH = """
query AssetGraph { assetNodes {
  id assetKey { path } opNames jobNames groupName graphName isPartitioned isObservable isMaterializable computeKind
  description hasMaterializePermission dependencyKeys { path } dependedByKeys { path } kinds
  tags { key value } owners { ... on TeamAssetOwner { team } ... on UserAssetOwner { email } }
  partitionDefinition { name type description dimensionTypes { name type dynamicPartitionsDefinitionName } }
  repository { id name location { id name } }
} }"""
# What the graph and the list of assets ask of every asset again and again.
ASSETS_LIVE = """
query AssetsLive($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys) {
    id assetKey { path } assetMaterializations(limit: 1) { timestamp runId }
    freshnessInfo { currentMinutesLate } staleStatus
    partitionStats { numMaterialized numMaterializing numPartitions numFailed }
    assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { id status } } } }
  }
  assetsLatestInfo(assetKeys: $keys) {
    id assetKey { path } unstartedRunIds inProgressRunIds latestRun { id status endTime }
  }
}"""
PARTITION_STATS = """
query PartitionStats($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  id partitionStats { numMaterialized numMaterializing numPartitions numFailed }
} } }"""
PARTITIONS_PAGE = """
query PartitionHealth($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  id partitionKeysByDimension { name type partitionKeys }
  assetPartitionStatuses {
    ... on DefaultPartitionStatuses { materializedPartitions failedPartitions materializingPartitions }
    ... on MultiPartitionStatuses { primaryDimensionName ranges {
      primaryDimStartKey primaryDimEndKey
      secondaryDim { ... on DefaultPartitionStatuses {
        materializedPartitions failedPartitions materializingPartitions
      } }
    } }
  }
} } }"""
ONE_PARTITION = """
query PartitionDetail($key: AssetKeyInput!, $partition: String!) { assetNodeOrError(assetKey: $key) {
  ... on AssetNode {
    id latestRunForPartition(partition: $partition) { id status }
    assetMaterializations(partitions: [$partition], limit: 10) {
      timestamp runId partition metadataEntries { label ... on IntMetadataEntry { intValue } }
    }
  }
} }"""
RUNS_PAGE = """
query RunsPage { runsOrError(limit: 30) { ... on Runs { results {
  id status jobName startTime endTime creationTime canTerminate tags { key value }
  assetSelection { path } repositoryOrigin { repositoryName }
} } } }"""
BACKFILL_PREVIEW = """
query BackfillPreview($params: AssetBackfillPreviewParams!) { assetBackfillPreview(params: $params) {
  assetKey { path } partitions { partitionKeys ranges { start end } }
} }"""


def key(asset: str) -> dict[str, Any]:
    return {"key": {"path": [asset]}}


def page_seconds(
    context: WorkspaceProcessContext, partition: str, preview: list[str], rounds: int
) -> dict[str, float | None]:
    """Seconds of each page's query, the median of the rounds; `partition_stats_cold_s` is the first one of the process,
    which reads all events of the asset; the others start from what it kept."""
    client = TestClient(create_app_from_workspace_process_context(context))

    def ask(query: str, variables: Mapping[str, Any] | None = None) -> tuple[float, Any]:
        started = time.perf_counter()
        answer = client.post("/graphql", json={"query": query, "variables": dict(variables or {})}).json()
        took = time.perf_counter() - started
        if "errors" in answer:
            raise RuntimeError(f"the query failed: {answer['errors'][0]['message']}\n{query}")
        return took, answer["data"]

    graph = ask(ASSET_GRAPH)[1]["assetNodes"]
    cold, stats = ask(PARTITION_STATS, key("scores"))
    if not stats["assetNodeOrError"]["partitionStats"]["numMaterialized"]:
        raise RuntimeError(f"the web server sees no materialized partition of scores: {stats}")
    pages: dict[str, tuple[str, Mapping[str, Any]]] = {
        "asset_graph": (ASSET_GRAPH, {}),
        "assets_live": (ASSETS_LIVE, {"keys": [node["assetKey"] for node in graph]}),
        "partition_stats": (PARTITION_STATS, key("scores")),
        "partitions_page": (PARTITIONS_PAGE, key("scores")),
        "one_partition": (ONE_PARTITION, key("scores") | {"partition": partition}),
        "runs_page": (RUNS_PAGE, {}),
        "backfill_preview": (
            BACKFILL_PREVIEW,
            {"params": {"assetSelection": [{"path": ["scores"]}], "partitionNames": preview}},
        ),
    }
    told: dict[str, float | None] = {"partition_stats_cold_s": cold}
    for name, (query, variables) in pages.items():
        told[f"{name}_s"] = statistics.median([ask(query, variables)[0] for _ in range(rounds)])
    return told
