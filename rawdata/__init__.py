"""The data's own language: MIDAS events and banks, run files, CYGNO bank layouts, ODB dumps."""

__version__ = "0.1.0"
