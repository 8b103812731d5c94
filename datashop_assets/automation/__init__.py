"""sensors, schedules and jobs."""
