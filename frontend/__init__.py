"""MIDAS frontends: rings, event builder, trigger frontend, slow control."""
