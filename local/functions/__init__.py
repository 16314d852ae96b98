"""Lambda's part: execution environments, their settings, schedules and output."""
