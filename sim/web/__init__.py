"""The web server of the standalone experiment: MIDAS's JSON-RPC and the operator page."""
