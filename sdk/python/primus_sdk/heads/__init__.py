"""The head: what names activities, how it is kept, and what it says."""
