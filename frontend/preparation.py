"""What begin of run does before any device starts, step by step; any of them can refuse the run.

`cygno-frontend check` takes the same steps beforehand and lists what each says.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from experiment.client import Client
from frontend.acquisition import make_layout
from frontend.checks import check_buffer, check_disk, check_event_size
from frontend.devices import Devices
from frontend.errors import FrontendError
from frontend.instance import Instance
from frontend.layout import EventLayout
from frontend.setup import RunSetup, load_setup

Step = tuple[str, Callable[[], object]]
"""What is looked at, and the call that raises if it is not as a run needs it."""


class Preparation:
    """Settings, devices and room for one run.

    :param buffer: name of the event buffer.
    """

    def __init__(
        self, client: Client, devices: Devices, instance: Instance, buffer: str, run_number: int
    ) -> None:
        self._client = client
        self._devices = devices
        self._instance = instance
        self._buffer = buffer
        self._run_number = run_number
        self._setup: RunSetup | None = None
        self._layout: EventLayout | None = None

    @property
    def setup(self) -> RunSetup:
        """The settings. :raises FrontendError: if they were not read."""
        if self._setup is None:
            raise FrontendError("it cannot be told without good settings")
        return self._setup

    @property
    def layout(self) -> EventLayout:
        """What events hold. :raises FrontendError: if the devices were not made ready."""
        if self._layout is None:
            raise FrontendError("it cannot be told before the devices are ready")
        return self._layout

    @property
    def is_whole(self) -> bool:
        """True if settings and layout are known."""
        return self._layout is not None

    def steps(self) -> Iterator[Step]:
        """Yield the steps in their order; those after the devices need these.

        Steps raise SettingsError, DeviceError or FrontendError, which name key or device, the value
        seen and what is needed.
        """
        client, buffer = self._client, self._buffer
        yield "settings", self._load
        yield "devices", self._make_ready
        yield "event size", lambda: check_event_size(client, self.layout)
        yield "buffer", lambda: check_buffer(client, self.setup, self.layout, buffer)
        yield "disk", lambda: check_disk(client, self.setup, self.layout)
        yield "ring", lambda: self.setup.ring_slots(self.layout.max_bytes)

    def _load(self) -> None:
        self._setup = load_setup(self._client, self._instance.settings_path)

    def _make_ready(self) -> None:
        self._devices.ensure_ready(self.setup, self._run_number)
        layout = make_layout(self.setup, self._devices)
        self._layout = replace(layout, event_id=self._instance.event_id)
