"""What "delivered" means, and how to wait for it cheaply."""
