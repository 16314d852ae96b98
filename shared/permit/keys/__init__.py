"""The keys that sign and seal: proof keys, token keys, master keys, and their rotation."""
