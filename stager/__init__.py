"""Run catalog, S3, credentials, replicas: every completed run, provably stored."""
