"""What a run keeps in the folder .permit, and how the run ends."""
