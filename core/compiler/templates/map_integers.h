// Functions of elementwise expressions over whole numbers and truth values, as NumPy has them.
template <class T> static inline T whole_abs(T a) { return a < 0 ? -a : a; }
template <class T> static inline T whole_sign(T a) { return (T)((a > 0) - (a < 0)); }
template <class T> static inline T whole_max(T a, T b) { return a > b ? a : b; }
template <class T> static inline T whole_min(T a, T b) { return a < b ? a : b; }
// Division towards zero; by zero it gives 0 instead of a signal.
template <class T> static inline T whole_div(T a, T b) { return b == 0 ? 0 : (b == -1 ? (T)(0 - (uint64_t)a) : a / b); }
template <class T> static inline T whole_fmod(T a, T b) { return b == 0 || b == -1 ? 0 : a % b; }
template <class T> static inline T whole_mod(T a, T b) { T r = whole_fmod(a, b); return r != 0 && (r < 0) != (b < 0) ? r + b : r; }
template <class T> static inline T whole_pow(T a, T b) {
    uint64_t r = 1, base = (uint64_t)a;
    for (uint64_t left = b < 0 ? 0 : (uint64_t)b; left; left >>= 1, base *= base) if (left & 1) r *= base;
    return (T)r;
}
