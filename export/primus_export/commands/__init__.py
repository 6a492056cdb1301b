"""The console commands of the export side."""
