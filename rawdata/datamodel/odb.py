"""ODB keys that programs share.

Those under ``/Configurations`` are the operator's, under CYGNO's names (ODB of LNGS run 42901,
December 2023). Settings that belong to one equipment alone are told by its settings model.
"""

from typing import Final

from rawdata.datamodel.analyzer import ANALYZER_KEYS
from rawdata.datamodel.key import OdbKey
from rawdata.tid import Tid

_CONFIGURATIONS: Final = (
    OdbKey("FreeRunning", Tid.BOOL, "Frames alone: digitizers are not read"),
    OdbKey(
        "TriggerMode",
        Tid.INT,
        "0: global exposure, delayed, software trigger; 1: global reset; 2: emulated; "
        "3: continuous",
    ),
    OdbKey("MaxEvents", Tid.INT, "Stop the run after so many events; 0 or less is never"),
    OdbKey("Pedestal", Tid.BOOL, "This is a pedestal run"),
    OdbKey("Exposure", Tid.DOUBLE, "Exposure of a frame", "s"),
    OdbKey("Number of Digitizers", Tid.INT, "How many boards are read"),
    OdbKey("Digitizer Base Address", Tid.INT, "VME base address of each board", "", 0),
    OdbKey("Digitizer Link Number", Tid.INT, "Link of each board", "", 0),
    OdbKey("DigitizerSN", Tid.INT, "Serial number of each board, written by the frontend", "", 0),
    OdbKey("DigitizerSamples", Tid.INT, "Samples of a waveform, per board", "", 0),
    OdbKey(
        "SamplingFrequency",
        Tid.INT,
        "Sampling code, per board; V1742: 0 = 750 MS/s, 1 = 1, 2 = 2.5, 3 = 5 GS/s",
        "",
        0,
    ),
    OdbKey("DigitizerPostTrg", Tid.INT, "Part of the window after the trigger, per board", "%", 0),
    OdbKey(
        "DigitizerOffset",
        Tid.DOUBLE,
        "DC offset of each channel as fraction of the range, -0.5 to 0.5; board * 32 + channel. "
        "Channels between -0.35 and -0.25 are DRS4-corrected offline",
        "",
        0,
    ),
    OdbKey("MultiTriggerMaxSize", Tid.INT, "Most triggers in an event, per board"),
    OdbKey("Threshold", Tid.INT, "V895 threshold; history"),
    OdbKey("DRS4Correction", Tid.BOOL, "Waveforms are corrected on board; else offline"),
    OdbKey("DRS4Correction_id", Tid.INT, "Which correction table"),
    OdbKey("TriggerState/discrimination_threshold", Tid.INT, "Goes to the run log", "mV"),
    OdbKey("TriggerState/trigger_veto_time", Tid.INT, "Goes to the run log", "us"),
    OdbKey("TriggerState/trigger_logic", Tid.INT, "Goes to the run log"),
    OdbKey("SourceState/source_position", Tid.FLOAT, "Position of the source", "cm"),
    OdbKey("SourceState/source_type", Tid.INT, "0 none, 1 55Fe"),
    OdbKey("CameraCropSettings/crop_enable", Tid.BOOL, "Frames are a square part of the sensor"),
    OdbKey("CameraCropSettings/crop_size", Tid.INT, "Rows and columns of that part", "pixels"),
    OdbKey(
        "CameraCropSettings/crop_origin_x",
        Tid.INT,
        "Columns x, from 0, with origin < x <= origin + size are kept; -1 begins with the first",
        "pixels",
    ),
    OdbKey("CameraCropSettings/crop_origin_y", Tid.INT, "The same for rows", "pixels"),
    OdbKey("run_type", Tid.INT, "Goes to the run log"),
    OdbKey("shielding_configuration", Tid.INT, "Goes to the run log"),
    OdbKey("pmt_acquisition", Tid.BOOL, "PMTs are read; goes to the run log"),
    OdbKey("storage_flag_default", Tid.INT, "Storage status at begin of run: -1"),
    OdbKey("storage_flag_mid_written", Tid.INT, "Storage status at end of run: 0"),
    OdbKey(
        "RunControl/StopRequested",
        Tid.SBYTE,
        "1: a device failed and the run is to be stopped and started again; 0 calls it off",
    ),
    OdbKey("RunControl/StopReason", Tid.STRING, "Why; both are cleared at begin of run"),
)

_TRIGGER_RUN: Final = (
    OdbKey("Run number", Tid.DWORD, "Which run these counts are of"),
    OdbKey("Frames acquired", Tid.DWORD, "Frames that the cameras delivered"),
    OdbKey("Frames lost", Tid.DWORD, "Frames lost by camera and by ring, late and unsent"),
    OdbKey("Frames lost by camera", Tid.DWORD, "Frames missing in the camera's own count"),
    OdbKey("Frames lost by ring", Tid.DWORD, "Frames that found the ring full"),
    OdbKey("Frames late", Tid.DWORD, "Frames that came when their event had gone without them"),
    OdbKey("Frames unsent", Tid.DWORD, "Frames still in the ring after the drain limit"),
    OdbKey("Frames without trigger", Tid.DWORD, "Frames not kept in mode `pmt`"),
    OdbKey("Frames paused", Tid.DWORD, "Frames that came while the run was paused"),
    OdbKey("Frames surplus", Tid.DWORD, "Frames after the last of MaxEvents"),
    OdbKey("Events built", Tid.DWORD, "Events that were built"),
    OdbKey("Events incomplete", Tid.DWORD, "Events that a device did not complete in time"),
    OdbKey("Events sent", Tid.DWORD, "Events that the buffer took"),
    OdbKey(
        "Events logged",
        Tid.DWORD,
        "Events that the logger wrote, those of other equipment among them; 0 until it has closed "
        "its file",
    ),
    OdbKey("Send retries", Tid.DWORD, "Tries to send that found no room in time"),
    OdbKey("Bytes sent", Tid.DOUBLE, "Bytes that the buffer took", "B"),
    OdbKey("Triggers read", Tid.DWORD, "Triggers that the digitizers delivered"),
    OdbKey("Triggers in events", Tid.DWORD, "Triggers that events hold"),
    OdbKey("Triggers outside frames", Tid.DWORD, "Triggers of no frame that was kept"),
    OdbKey("Triggers lost", Tid.DWORD, "Triggers lost by boards, for want of memory or of room"),
    OdbKey("Triggers read by board", Tid.DWORD, "The same for each digitizer, in bank order"),
    OdbKey("Triggers lost by board", Tid.DWORD, "The same for each digitizer"),
    OdbKey("Frames compressed", Tid.DWORD, "Frames that left as CZ<i>; 0 if all shall be raw"),
    OdbKey("Frames raw incompressible", Tid.DWORD, "Frames that would have become no smaller"),
    OdbKey("Frames raw pool busy", Tid.DWORD, "Frames that compression did not keep up with"),
    OdbKey("Frames raw pool failed", Tid.DWORD, "Frames that went raw since a worker had failed"),
    OdbKey("Compression ratio", Tid.DOUBLE, "Bytes of pixels / bytes of frame banks; 1 if raw"),
    OdbKey("Live time s", Tid.DOUBLE, "Time in which triggers could be taken", "s"),
    OdbKey("Dead time s", Tid.DOUBLE, "Time in which they could not", "s"),
    OdbKey(
        "Stop reason",
        Tid.STRING,
        "Why the run ended: `MaxEvents`, `asked for`, `frontend ended`, or what failed",
    ),
    OdbKey("Restarts", Tid.DWORD, "Automatic starts in a row that led to this run; 0: by hand"),
)

_OTHERS: Final = (
    OdbKey("/Runinfo/State", Tid.INT, "1 stopped, 2 paused, 3 running"),
    OdbKey("/Runinfo/Run number", Tid.INT, "Present or last run"),
    OdbKey("/Runinfo/Start time binary", Tid.DWORD, "Unix time of the last start", "s"),
    OdbKey("/Runinfo/Stop time binary", Tid.DWORD, "Unix time of the last stop", "s"),
    OdbKey("/Experiment/MAX_EVENT_SIZE", Tid.DWORD, "Largest event that readers take", "B"),
    OdbKey("/Experiment/Buffer sizes/SYSTEM", Tid.DWORD, "Size of the event buffer", "B"),
    OdbKey("/Experiment/Run Parameters/Run description", Tid.STRING, "Free text of the operator"),
    OdbKey("/Logger/Data dir", Tid.STRING, "Where run files are written"),
    OdbKey("/Logger/Channels/0/Settings/Filename", Tid.STRING, "run%05d.mid"),
    OdbKey("/Logger/Channels/0/Settings/Compress", Tid.STRING, "none, gzip, lz4, bzip2 (, zstd)"),
    OdbKey("/Logger/Channels/0/Settings/Current filename", Tid.STRING, "The file being written"),
    OdbKey("/Logger/Channels/0/Statistics/Events written", Tid.DOUBLE, "Of this run"),
    OdbKey("/Logger/Channels/0/Statistics/Bytes written", Tid.DOUBLE, "Of this run", "B"),
    OdbKey("/Equipment/Environment/Settings/Names Input", Tid.STRING, "Names of INPT", "", 0),
    OdbKey("/Equipment/Environment/Variables/Input", Tid.FLOAT, "Last INPT", "mA or V", 0),
    OdbKey("/Equipment/HV/Settings/Names", Tid.STRING, "Names of the channels", "", 0),
    OdbKey("/Equipment/HV/Variables/Demand", Tid.FLOAT, "Demanded voltage", "V", 0),
    OdbKey("/Equipment/HV/Variables/Measured", Tid.FLOAT, "Measured voltage", "V", 0),
    OdbKey("/Equipment/HV/Variables/Current", Tid.FLOAT, "Current", "uA", 0),
    OdbKey("/Equipment/CameraStatus/Variables/TCAM", Tid.DOUBLE, "Sensor temperature", "°C", 0),
    OdbKey("/Equipment/<name>/Common/Status", Tid.STRING, "State of the equipment, for people"),
    OdbKey(
        "/Equipment/<name>/Common/Status color", Tid.STRING, "greenLight, yellowLight, redLight"
    ),
    OdbKey("/Equipment/<name>/Statistics/Events sent", Tid.DOUBLE, "Since the begin of the run"),
    OdbKey("/Equipment/<name>/Statistics/Events per sec.", Tid.DOUBLE, "Rate", "Hz"),
    OdbKey("/Equipment/<name>/Statistics/kBytes per sec.", Tid.DOUBLE, "Rate", "kB/s"),
    *(
        OdbKey(f"/Equipment/Trigger/Variables/{name}", tid, f"{meaning}; each second", unit)
        for name, tid, meaning, unit in (
            ("Rate Hz", Tid.DOUBLE, "Events sent per second", "Hz"),
            ("Ring level %", Tid.DOUBLE, "Part of the ring that holds frames", "%"),
            ("Live time %", Tid.DOUBLE, "Live time over live and dead time, so far", "%"),
            ("Frames acquired", Tid.INT, "As in Run, so far", ""),
            ("Frames lost", Tid.INT, "As in Run, so far", ""),
            ("Events incomplete", Tid.INT, "As in Run, so far", ""),
            ("Send retries", Tid.INT, "As in Run, so far", ""),
            ("Triggers read", Tid.INT, "As in Run, so far", ""),
            ("Triggers lost", Tid.INT, "As in Run, so far", ""),
            ("Last error", Tid.STRING, "The last thing that failed in this run", ""),
        )
    ),
)


def _under(folder: str, keys: tuple[OdbKey, ...]) -> tuple[OdbKey, ...]:
    return tuple(
        OdbKey(f"{folder}/{key.path}", key.tid, key.meaning, key.unit, key.count) for key in keys
    )


ODB_KEYS: Final = (
    *_under("/Configurations", _CONFIGURATIONS),
    *_under("/Equipment/Trigger/Run", _TRIGGER_RUN),
    *_OTHERS,
    *ANALYZER_KEYS,
)
