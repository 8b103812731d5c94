"""On a cluster: a run that failed as its pod was lost says so in its own log.

What belongs here: which runs are looked at, and where the words go. What does not: the words
(`resources/pod_failures.py`), telling people (`alerts.py`), runs whose daemon saw that their pod was gone: those fail
with the words already (`resources/run_launcher.py`).

A pod that is preempted, drained or evicted is first told to end: its run then fails by itself, with "Execution was
interrupted unexpectedly" and no word of why. Only the cluster knows.
"""

import dagster as dg


def lost_pods_sensor() -> dg.SensorDefinition:
    """Looks at the pods of every run that failed. The code location's service account must be allowed to read them."""

    @dg.run_failure_sensor(
        name="lost_pods",
        minimum_interval_seconds=30,
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
