"""Places that hold copies of files: one module for each kind, all with the calls of `Place`."""
