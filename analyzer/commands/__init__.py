"""The commands of ``cygno-analyzer``, one subject a file; `analyzer.main` registers them."""
