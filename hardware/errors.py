"""What a device can report."""


class DeviceError(Exception):
    """A device failed, is gone or refuses a setting.

    The message names the device (model and serial number), the value seen, the values allowed and
    what to do, so that it can be shown to an operator as it is.
    """
