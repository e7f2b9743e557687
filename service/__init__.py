"""The application: citizens apply, officers decide, the service issues, anyone verifies."""
