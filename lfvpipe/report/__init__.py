"""What a run showed: metrics, run files, the terminal summary and the report page."""
