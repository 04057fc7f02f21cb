"""The event log of a workspace: what was shown for queries, and what users did then.

It is append-only, and apart from the database.

.nearer/events/salt                        hides who users are, and marks the query ids that the service gave
.nearer/events/HOUR-TOKEN-X.log            what one process wrote in one hour, a checksummed line a record
.nearer/events/HOUR-TOKEN-X.NAME.parquet   the same once that hour is over or the process has ended: NAME is
                                           impressions or events
.nearer/events/import-ID/NAME.parquet      what was imported from one file, by its content
.nearer/events/forgotten.json              who was forgotten, hashed, while a process may still write of them
.nearer/events/forgotten-ID.json           one who was forgotten, where machines share their events

Where the recipe names PostgreSQL or object storage, what is sealed is shared with other machines: see ``sharing.py``.

Each process writes files of its own, so that none waits for another. While a ``.log`` is there it counts, and not its
Parquet files: they are whole once it is gone.
"""
