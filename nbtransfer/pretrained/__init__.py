"""Where pretrained shared layers come from, and how a family of them is cut into stages."""
