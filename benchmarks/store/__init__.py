"""Durable writes into small and large stores."""
