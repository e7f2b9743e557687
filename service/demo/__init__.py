"""A demonstration city: made-up people and their cases, all made through the service's own verbs."""
