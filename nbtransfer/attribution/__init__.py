"""What the shared layers and the head contribute, before and after. The only door to Captum."""
