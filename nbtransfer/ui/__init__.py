"""What people see. Shows states and results; computes nothing, and never loads torch."""
