"""The workspace on disk: its database, its artifacts, and the files that come in and go out."""
