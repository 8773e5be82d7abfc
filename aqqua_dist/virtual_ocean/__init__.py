"""Known truth and simulated surveys."""
