"""The server of a standalone experiment: ODB, run control, messages, alarms, watchdog."""
