"""Which remedy a search needs: every one measured on the team's own judged queries, and a verdict."""
