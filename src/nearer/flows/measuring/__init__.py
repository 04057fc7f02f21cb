"""What systems are measured on, ranked by and scored with."""
