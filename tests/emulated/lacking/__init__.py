"""What the stack needs and ministack lacks, by subject; emulator.py puts it in."""
