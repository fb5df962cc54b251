"""The page for who is called by an alarm knows all alarms that programs raise."""

import re
from pathlib import Path

from frontend.restart import ALARM as RESTART_ALARM
from stager.equipment import ALARM as STAGER_ALARM
from stager.equipment import DISK_ALARM

ROOT = Path(__file__).parents[2]
RAISED = re.compile(r'\.notice\("([^"]+)"|raise_alarm\([^"]*f"\{[^}]+\} ([^"{]+)"')


def test_every_alarm_is_explained() -> None:
    page = (ROOT / "docs" / "how-to" / "when-an-alarm-comes.md").read_text()
    explained = set(re.findall(r"`([^`]+)`", page))
    code = "".join(path.read_text() for path in sorted((ROOT / "frontend").glob("*.py")))
    raised = {"".join(found) for found in RAISED.findall(code)}
    assert {"frames lost", "device failed", "counts differ"} <= raised
    wanted = {f"Trigger {what}" for what in raised}
    wanted |= {RESTART_ALARM, STAGER_ALARM, DISK_ALARM, "Analyzer", "Analyzer <quantity>"}
    assert wanted <= explained
