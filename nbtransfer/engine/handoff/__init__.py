"""What leaves the house: predictions and exports."""
