// Made by python -m sim.web.labels from frontend/settings.py; change that, not this.
"use strict";

const SETTINGS = [
  {"path": "/Configurations/FreeRunning", "description": "Frames alone: digitizers are not read and every frame is kept (mode free)."},
  {"path": "/Configurations/TriggerMode", "allowed": "0 or 3", "description": "0: a frame is kept when a PMT trigger fell into its exposure (mode pmt); 3: every frame is kept, with all waveforms of its exposure (mode continuous)."},
  {"path": "/Configurations/MaxEvents", "allowed": "≥ -1", "description": "Stop the run after this many events; 0 or -1 is never."},
  {"path": "/Configurations/Pedestal", "description": "Marks a pedestal run; simulated devices then give no light."},
  {"path": "/Configurations/Exposure", "unit": "s", "allowed": "≤ 60, > 0", "description": "Exposure time of a frame."},
  {"path": "/Configurations/Number of Digitizers", "allowed": "≥ 0, ≤ 8", "description": "How many of the boards in /Equipment/Trigger/Settings/Digitizers are read."},
  {"path": "/Configurations/DigitizerSamples", "allowed": "≥ 1, ≤ 1250000", "description": "Samples of a waveform, per board."},
  {"path": "/Configurations/SamplingFrequency", "allowed": "≥ 0, ≤ 10", "description": "Sampling code, per board; V1742: 0 = 750 MS/s, 1 = 1 GS/s, 2 = 2.5 GS/s, 3 = 5 GS/s."},
  {"path": "/Configurations/DigitizerPostTrg", "unit": "%", "allowed": "≥ 0, ≤ 100", "description": "Part of the window after the trigger, per board."},
  {"path": "/Configurations/DigitizerOffset", "allowed": "≥ -0.5, ≤ 0.5", "description": "DC offset per channel, board after board, as fraction of the range."},
  {"path": "/Configurations/MultiTriggerMaxSize", "allowed": "≥ 1, ≤ 128", "description": "Triggers that one event holds, per board."},
  {"path": "/Configurations/DRS4Correction", "description": "Whether the vendor's library corrects DRS4 waveforms on board."},
  {"path": "/Configurations/pmt_acquisition", "description": "Whether the PMTs take part; goes to the run log."},
  {"path": "/Configurations/run_type", "description": "Code of the kind of run; goes to the run log."},
  {"path": "/Configurations/shielding_configuration", "description": "Code of the shielding; goes to the run log."},
  {"path": "/Configurations/storage_flag_default", "description": "Storage status that the run log has at begin of run."},
  {"path": "/Configurations/TriggerState/discrimination_threshold", "unit": "mV", "description": "Threshold of the discriminators."},
  {"path": "/Configurations/TriggerState/trigger_veto_time", "unit": "us", "allowed": "≥ 0", "description": "Veto after each trigger."},
  {"path": "/Configurations/TriggerState/trigger_logic", "description": "Code of the coincidence that triggers."},
  {"path": "/Configurations/SourceState/source_type", "allowed": "≥ 0", "description": "0 none, 1 55Fe."},
  {"path": "/Configurations/SourceState/source_position", "unit": "cm", "description": "Position of the source along the drift."},
];
