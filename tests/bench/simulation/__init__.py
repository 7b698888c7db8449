"""A discrete-event simulation of 1 to 1,000 GPU workers on a billion images."""
