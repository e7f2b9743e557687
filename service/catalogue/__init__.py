"""The catalogue: what can be applied for, as versioned data that a city edits without a programmer."""
