"""Device contracts and drivers: cameras, digitizers, high voltage, sensors. No MIDAS here."""
