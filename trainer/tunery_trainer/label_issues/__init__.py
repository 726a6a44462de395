"""Label issues: rows whose label is likely wrong, by what those say that have not read them."""
