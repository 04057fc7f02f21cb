"""Raw signals to judgments: what users clicked on, and what that says of relevance."""
