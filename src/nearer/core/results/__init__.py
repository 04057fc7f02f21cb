"""What the verbs return: frozen records that printing, the report, JSON and Python share."""
