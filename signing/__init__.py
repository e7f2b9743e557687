"""What a permit document is: its content, its page, its signature and its validation."""
