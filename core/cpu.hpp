// What the processor and the system under it can do. Clang's own builtin needs a library that is not linked
// on Windows.
#pragma once
#include <cpuid.h>
#include <cstdint>

namespace moestro {

struct Processor {
    bool avx2 = false, avx512 = false;  // with fused multiply-adds; with F, DQ and VL

    Processor() {
        uint32_t a, b, c, d;
        if (!__get_cpuid(1, &a, &b, &c, &d)) return;
        const uint32_t needed = 1u << 12 | 1u << 27 | 1u << 28;  // FMA, OSXSAVE, AVX
        if ((c & needed) != needed) return;
        const uint32_t saved = enabled();
        if ((saved & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
            return;  // XMM and YMM registers
        avx2 = b >> 5 & 1;
        const uint32_t f_dq_vl = 1u << 16 | 1u << 17 | 1u << 31;
        avx512 = avx2 && (saved & 0xe0) == 0xe0 && (b & f_dq_vl) == f_dq_vl;  // masks and ZMM registers
    }

    // Registers that the system saves when it changes threads: XCR0.
    static uint32_t enabled() {
        uint32_t low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        return low;
    }
};

}  // namespace moestro
