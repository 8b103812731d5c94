"""Dagster as a person's script drives it: its GraphQL API, and nothing else."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONNECTIONS = 20  # of the webserver to its database, more or less
LOCATION, REPOSITORY = "datashop", "__repository__"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
RUN = """
query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status startTime endTime tags { key value } } } }"""
RUNS = """
query Runs($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results { runId status } } } }"""
LOGS = """
query Logs($id: ID!) {
  logsForRun(runId: $id) {
    ... on EventConnection { events {
      __typename
      ... on MessageEvent { message level }
      ... on ExecutionStepFailureEvent { error { message causes { message } } }
      ... on RunFailureEvent { error { message } }
    } }
  }
}"""
PARTITIONS = """
query Partitions($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { partitionKeys } } }"""
LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries {
  name locationOrLoadError { __typename ... on PythonError { message } } } } }
  instance { daemonHealth { allDaemonStatuses { daemonType healthy required } } } }"""


class ApiError(RuntimeError):
    """The API refused what was asked; the message is its own."""


@dataclass(frozen=True)
class Run:
    """A run as the API shows it; times in seconds since 1970."""

    id: str
    status: str
    started: float | None
    ended: float | None
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Dagster:
    """The webserver at `url`."""

    url: str

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data that the query asks for. Raises ApiError; OSError where the webserver cannot be reached.

        As a person would, it asks once more where the webserver finds that a connection to its database is gone: after
        a restart of the database it finds that of each that it had.
        """
        for _ in range(CONNECTIONS):
            try:
                return self._ask(query, variables)
            except ApiError as error:
                if "OperationalError" not in str(error):
                    raise
                time.sleep(1)
        return self._ask(query, variables)

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise ApiError(f"{error}: {error.read()[:500]!r}") from error
        if found.get("errors"):
            raise ApiError(str(found["errors"])[:2000])
        data: dict[str, Any] = found["data"]
        return data

    def healthy(self) -> bool:
        """Whether the code location is loaded and every daemon beats; raises ApiError where it cannot be loaded."""
        found = self.ask(LOCATIONS)
        entries = {each["name"]: each["locationOrLoadError"] for each in found["workspaceOrError"]["locationEntries"]}
        location = entries.get(LOCATION)
        if location is not None and location["__typename"] == "PythonError":
            raise ApiError(location["message"])
        daemons = found["instance"]["daemonHealth"]["allDaemonStatuses"]
        return location is not None and all(each["healthy"] for each in daemons if each["required"])

    def launch(self, job: str, tags: Mapping[str, str], assets: Sequence[str] = (), config: str = "{}") -> str:
        """The id of a new run of the job, or of some of its assets."""
        selector: dict[str, Any] = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": job}
        if assets:
            selector["assetSelection"] = [{"path": [name]} for name in assets]
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        params = {
            "selector": selector,
            "runConfigData": config,
            "mode": "default",
            "executionMetadata": {"tags": listed},
        }
        found = self.ask(LAUNCH, params=params)["launchRun"]
        if found["__typename"] != "LaunchRunSuccess":
            raise ApiError(f"{job} was not launched: {found}")
        return str(found["run"]["runId"])

    def run(self, run: str) -> Run:
        found = self.ask(RUN, id=run)["runOrError"]
        tags = {each["key"]: each["value"] for each in found["tags"]}
        return Run(run, found["status"], found["startTime"], found["endTime"], tags)

    def retries(self, run: str) -> list[str]:
        """Runs that Dagster launched because this one was lost."""
        tags = [{"key": "dagster/parent_run_id", "value": run}]
        return [each["runId"] for each in self.ask(RUNS, filter={"tags": tags})["runsOrError"]["results"]]

    def wait(self, runs: Sequence[str], seconds: float = 600) -> list[Run]:
        """The runs when all have ended. Raises TimeoutError naming those that have not."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = [self.run(each) for each in runs]
            except (OSError, ApiError):  # its database or itself restarts
                found = []
            if found and all(each.status in ENDED for each in found):
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ended after {seconds:.0f} s: {[(each.id, each.status) for each in found]}")
            time.sleep(1)

    def reasons(self, run: str) -> list[str]:
        """Why a run failed, from its log: the innermost error of each failed step, and the run's own."""
        said = []
        for event in self.ask(LOGS, id=run)["logsForRun"]["events"]:
            if event["__typename"] == "ExecutionStepFailureEvent" and event["error"]:
                causes = [cause["message"] for cause in event["error"]["causes"]]
                said.append((causes or [event["error"]["message"]])[-1])
            elif event["__typename"] == "RunFailureEvent":
                said.append(event["message"])
        return [each.strip() for each in said]

    def messages(self, run: str) -> list[str]:
        """Everything that the run's log says."""
        events = self.ask(LOGS, id=run)["logsForRun"]["events"]
        return [str(event["message"]) for event in events if event.get("message")]

    def shards(self) -> list[str]:
        """The shards that are partitions now."""
        found = self.ask(PARTITIONS, key={"path": ["documents"]})["assetNodeOrError"]
        return list(found["partitionKeys"])
