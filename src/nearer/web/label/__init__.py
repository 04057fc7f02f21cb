"""The page on which people judge: one pair a screen, by keys, blind to rank, score and system."""
