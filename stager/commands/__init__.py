"""The commands of ``cygno-stager``, one subject a file; `stager.main` registers them."""
