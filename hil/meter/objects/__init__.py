"""COSEM objects of the simulated heat meter, one file for each family of interface classes."""
