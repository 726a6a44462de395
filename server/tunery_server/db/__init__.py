"""The database: where the API and the supervisor meet. `queries/` alone builds statements."""
