"""Tests that keep looking: one generator of strange data, one oracle for every estimator."""
