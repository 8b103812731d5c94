"""On a cluster: a run whose pod was lost fails at once, and says why in its own log.

What belongs here: which runs are looked at, and where the words go. What does not: the words
(`resources/pod_failures.py`), telling people (`alerts.py`), runs whose daemon saw that their pod was gone: those fail
with the words already (`resources/run_launcher.py`).

A pod that is preempted, drained or evicted is first told to end: its run then fails by itself, with "Execution was
interrupted unexpectedly" and no word of why. Only the cluster knows.

A pod that ends before its run has begun (out of memory while it imports, an image without the project) is seen by run
monitoring only when the start timeout is over, minutes later: until then the run would keep its place in its pool.
"""

import dagster as dg

LOOK_EVERY_S = 30


def pod_sensors() -> list[dg.SensorDefinition]:
    """Both need a code location whose service account may read pods and Jobs."""
    return [lost_pods_sensor(), unbegun_runs_sensor()]


def lost_pods_sensor() -> dg.SensorDefinition:
    """Looks at the pods of every run that failed."""

    @dg.run_failure_sensor(
        name="lost_pods",
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Writes into the log of a failed run what happened to its pods, its steps' and its workers', where they "
            "were lost (out of memory, evicted, preempted, no image, no node), and what to change."
        ),
    )
    def lost_pods(context: dg.RunFailureSensorContext) -> dg.SkipReason:
        from resources.run_launcher import PodRunLauncher  # Kubernetes' client takes a second to import

        launcher = context.instance.run_launcher
        if not isinstance(launcher, PodRunLauncher):
            return dg.SkipReason(f"the instance's run launcher is {type(launcher).__name__}, which knows of no pods")
        words = launcher.lost_pods(context.dagster_run)
        for each in words:
            context.instance.report_engine_event(each, context.dagster_run)
        return dg.SkipReason(f"{len(words)} lost pods")

    return lost_pods


def unbegun_runs_sensor() -> dg.SensorDefinition:
    """Looks at the Jobs of the runs that are starting."""

    @dg.sensor(
        name="unbegun_runs",
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Fails a run whose pod ended before the run had begun, with what happened to the pod and what to change, "
            "so that its place in a pool is free at once; Dagster itself waits for the start timeout."
        ),
    )
    def unbegun_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from resources.run_launcher import PodRunLauncher  # Kubernetes' client takes a second to import

        instance = context.instance
        launcher = instance.run_launcher
        if not isinstance(launcher, PodRunLauncher):
            return dg.SkipReason(f"the instance's run launcher is {type(launcher).__name__}, which knows of no pods")
        starting = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING]))
        failed = {run.run_id: words for run in starting if (words := launcher.why_not_begun(run))}
        for run_id, words in failed.items():
            run = instance.get_run_by_id(run_id)
            # It may have begun, and failed by itself, between the two looks.
            if run is not None and run.status == dg.DagsterRunStatus.STARTING:
                instance.report_run_failed(run, words)
        return dg.SkipReason(f"{len(starting)} runs are starting, the pods of {len(failed)} of them have failed")

    return unbegun_runs
