"""What every task runs on: artefacts, cache, locks, the Prefect server, parameters, progress."""
