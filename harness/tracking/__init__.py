"""The only code that knows MLflow: from events to a run in the store (``docs/contract.md``)."""
