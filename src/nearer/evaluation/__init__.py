"""What a judged split is, how systems rank it, and why queries fail: on the level of a workspace."""
