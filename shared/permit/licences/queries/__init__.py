"""The SQL of the vendor's catalogue and licences."""
