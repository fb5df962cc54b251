"""Numbered changes of the catalog's schema; `stager.catalog` applies them at first connection.

A new one is a file ``versions/NNNN_what.py`` with its revision, the one before as
``down_revision``, and ``upgrade()``. A test compares the result with `stager.models`.
"""
