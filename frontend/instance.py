"""Which of several trigger frontends a process is: its names and numbers.

One process may serve all cameras; or there is one for each camera or PC, told apart by an index, as
MIDAS's own frontends are with ``-i``.
"""

from dataclasses import dataclass

from rawdata.datamodel import FIRST_INDEXED_STATUS_ID, preview_event_id, trigger_event_id
from rawdata.layouts import slow


@dataclass(frozen=True)
class Instance:
    """A trigger frontend among others.

    >>> Instance(2).client_name, Instance(2).path, Instance(2).event_id
    ('cygno-frontend-trigger-02', '/Equipment/Trigger02', 102)

    :param index: 0 to 99; None where there is one alone.
    """

    index: int | None = None

    @property
    def client_name(self) -> str:
        """Name among the experiment's clients."""
        return "cygno-frontend-trigger" + ("" if self.index is None else f"-{self.index:02d}")

    @property
    def equipment(self) -> str:
        """Name of the equipment that sends the events."""
        return f"Trigger{self._suffix}"

    @property
    def path(self) -> str:
        """Where that equipment is in the ODB."""
        return f"/Equipment/{self.equipment}"

    @property
    def settings_path(self) -> str:
        """Where its settings are in the ODB."""
        return f"{self.path}/Settings"

    @property
    def event_id(self) -> int:
        """Id of its events."""
        return trigger_event_id(self.index)

    @property
    def status_equipment(self) -> str:
        """Name of the equipment that sends its cameras' temperatures."""
        return f"CameraStatus{self._suffix}"

    @property
    def status_event_id(self) -> int:
        """Id of the events with its cameras' temperatures."""
        if self.index is None:
            return slow.CAMERA_STATUS_ID
        return FIRST_INDEXED_STATUS_ID + self.index

    @property
    def preview_equipment(self) -> str:
        """Name of the equipment that sends previews of its events."""
        return f"Preview{self._suffix}"

    @property
    def preview_event_id(self) -> int:
        """Id of these previews."""
        return preview_event_id(self.index)

    @property
    def _suffix(self) -> str:
        return "" if self.index is None else f"{self.index:02d}"
