"""What training is made from, monitored by and kept in."""
