"""How each operation becomes C++: one module per family, each with the variants it offers."""
