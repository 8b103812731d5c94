"""entry points that run in another process, environment or pod."""
