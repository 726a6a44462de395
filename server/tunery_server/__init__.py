"""The service: an API that validates and stores, and a supervisor that gets the work done."""
