"""The dashboard: what the service does, as pages of plain HTML that need no other server, each with a JSON twin."""
