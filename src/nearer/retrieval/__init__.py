"""From a query's vector to ranked documents."""
