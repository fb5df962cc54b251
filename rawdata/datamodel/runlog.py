"""Columns of the SQL table ``Runlog``, under CYGNO's names and in their order.

Source: run logs of LNGS and LNF (``reconstruction:pedestals/runlog_*_auto.csv``), made by mlogger.
"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class SqlColumn:
    """One column."""

    name: str
    sql_type: str
    written: Literal["begin", "end", "stager", "reco"]
    """At begin of run, end of run, by the stager, by reconstruction."""
    meaning: str
    unit: str = ""


RUNLOG_COLUMNS: Final = (
    SqlColumn("run_number", "INTEGER, key", "begin", "Run number"),
    SqlColumn("run_description", "TEXT", "begin", "Free text of the operator"),
    SqlColumn("start_time", "DATETIME", "begin", "Local time of the start"),
    SqlColumn("exposure_sec", "DOUBLE", "begin", "Exposure of a frame", "s"),
    *(
        SqlColumn(f"{name}_V", "DOUBLE", "begin", meaning, "V")
        for name, meaning in (
            ("GEM3", "GEM 3"),
            ("GEM2", "GEM 2"),
            ("GEM1", "GEM 1"),
            ("T2", "Transfer 2"),
            ("T1", "Transfer 1"),
            ("DRIFT", "Drift"),
            ("OFFSET", "Offset"),
            ("PMT1", "PMT 1"),
            ("PMT2", "PMT 2"),
            ("PMT3", "PMT 3"),
            ("PMT4", "PMT 4"),
        )
    ),
    SqlColumn("HV_STATE", "INTEGER", "begin", "First channel's state: 1 on, 0 off"),
    SqlColumn("sequencer_running", "BOOLEAN", "begin", "The sequencer started the run"),
    SqlColumn("sequence_filename", "TEXT", "begin", "Its script"),
    SqlColumn("pmt_acquisition", "BOOLEAN", "begin", "PMTs are read"),
    SqlColumn("pedestal_run", "BOOLEAN", "begin", "This is a pedestal run"),
    SqlColumn("source_type", "INTEGER", "begin", "0 none, 1 55Fe"),
    SqlColumn("source_position", "DOUBLE", "begin", "Position of the source", "cm"),
    SqlColumn("discrimination_threshold", "INTEGER", "begin", "Discriminator threshold", "mV"),
    SqlColumn("trigger_veto_time", "INTEGER", "begin", "Veto after a trigger", "us"),
    SqlColumn("trigger_logic", "INTEGER", "begin", "Code of the coincidence"),
    SqlColumn("run_type", "INTEGER", "begin", "Code of the kind of run"),
    SqlColumn("drs4_correction_active", "BOOLEAN", "begin", "Waveforms are corrected on board"),
    SqlColumn("shielding_configuration", "INTEGER", "begin", "Code of the shielding"),
    SqlColumn("stop_time", "DATETIME", "end", "Local time of the stop"),
    SqlColumn("number_of_events", "DOUBLE", "end", "Trigger events of the run"),
    SqlColumn("storage_local_status", "INTEGER", "stager", "See storage status"),
    SqlColumn("storage_cloud_status", "INTEGER", "stager", "See storage status"),
    SqlColumn("storage_tape_status", "INTEGER", "stager", "See storage status"),
    SqlColumn("total_gas_flow", "DOUBLE", "begin", "Gas flow"),
    SqlColumn("file_size", "BIGINT", "stager", "Size of the stored file", "B"),
    SqlColumn("file_checksum", "CHAR(32)", "stager", "MD5 of the stored file"),
    SqlColumn("file_s3_tag", "VARCHAR", "stager", "Site: LNGS, LNF, MAN; the key's folder"),
    SqlColumn("online_reco_status", "INTEGER", "reco", "-1 not yet, -2 picked, 0 running, 1 done"),
)

STORAGE_STATUS: Final = (
    ("local", -1, "run not ended, or unknown"),
    ("local", 0, "written and closed; or deleted after it was stored"),
    ("local", 1, "here, with size and checksum"),
    ("cloud", -1, "not stored"),
    ("cloud", 1, "stored on S3"),
    ("cloud", 2, "too large, or removed after the copy to tape"),
    ("tape", -1, "not stored"),
    ("tape", 1, "on tape"),
)
"""Storage, value of its status column, meaning."""
