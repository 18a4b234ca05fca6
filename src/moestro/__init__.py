"""moestro"""
