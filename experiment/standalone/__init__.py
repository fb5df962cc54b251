"""Client of the standalone experiment (its server lives in sim)."""
