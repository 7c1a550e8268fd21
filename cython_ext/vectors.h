/* What the kernels on vectors of 16 share: clones per processor level where the compiler can choose at load time, and the width. */
#ifndef VITRINE_VECTORS_H
#define VITRINE_VECTORS_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#if !defined(__GNUC__)
#error "These kernels are written with the vector types of GCC and Clang."
#endif
#define INLINE static inline __attribute__((always_inline))

#define LANES 16

#endif
