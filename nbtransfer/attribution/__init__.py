"""What shared layers and head contributed, before and after. The only door to Captum."""
