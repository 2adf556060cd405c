"""Runs ordered, idempotent steps, remembers what they did, and reruns only what changed."""
