"""Expert C++ for the six benchmark models, written by hand and apart from the generator: the bar it is compared with, and naive C++ beside it."""
