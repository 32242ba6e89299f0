"""Where pretrained shared layers come from, and how each family is cut into stages."""
