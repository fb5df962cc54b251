"""Errors of this room; each message can be read to an operator as it is."""


class AnalyzerError(Exception):
    """Root of what the analyzer refuses or cannot do."""


class PedestalError(AnalyzerError):
    """A pedestal cannot be made, read, or used for these frames."""


class ResultsError(AnalyzerError):
    """Results cannot be written or read."""


class RunDataError(AnalyzerError):
    """A run file is damaged, or holds nothing to analyze."""
