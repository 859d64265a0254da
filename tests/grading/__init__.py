"""Tests of the grading of strangers' work."""
