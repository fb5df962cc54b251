"""Errors of this room; each message can be read to an operator as it is."""


class RawDataError(Exception):
    """Root of everything that is refused or found damaged in run data."""


class EventError(RawDataError):
    """The bytes of an event contradict the MIDAS format, or an event cannot be built as asked."""


class BankMissingError(EventError, KeyError):
    """An event lacks the bank that was asked for."""

    __str__ = Exception.__str__  # KeyError would print the message in quotes


class LayoutError(RawDataError):
    """The content of a bank contradicts its CYGNO layout."""


class OdbDumpError(RawDataError):
    """The text of an ODB dump cannot be read, or an ODB value cannot be written."""
