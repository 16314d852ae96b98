"""Where a secret comes from: AWS, a file, or the variable itself."""
