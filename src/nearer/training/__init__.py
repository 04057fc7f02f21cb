"""What training is made from, watched by and kept in."""
