// Pairs of BF16 numbers through a Verilated module without registers, beside FP64 of the host.
//
// Arguments: how many pairs, and an odd stride; pair number i is i * stride modulo 2^32, so 2^32 of
// them are all pairs. Built with SUM, the module is an adder, else a multiplier; built with TIES_AWAY,
// the reference rounds ties wrongly, which must be found.

#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "Vtop.h"
#include "verilated.h"

namespace {

double value(uint16_t bits) {
    if ((bits & 0x7f80) == 0) bits &= 0x8000;  // subnormal numbers are zeros
    uint32_t wide = uint32_t(bits) << 16;
    float number;
    std::memcpy(&number, &wide, sizeof number);
    return number;
}

// Products of two BF16 numbers are exact in FP64. So are sums of exponents less than 45 apart;
// farther apart, the smaller one is far below half a unit in the last place of BF16.
uint16_t nearest(double exact) {
    if (std::isnan(exact)) return 0x7fc0;
    uint64_t bits;
    std::memcpy(&bits, &exact, sizeof bits);
    const int dropped = 52 - 7;
#ifdef TIES_AWAY
    const uint64_t odd = 1;
#else
    const uint64_t odd = bits >> dropped & 1;
#endif
    bits += (uint64_t(1) << (dropped - 1)) - 1 + odd;
    bits &= ~((uint64_t(1) << dropped) - 1);
    double rounded;
    std::memcpy(&rounded, &bits, sizeof rounded);
    const uint16_t sign = std::signbit(exact) ? 0x8000 : 0;
    if (std::fabs(rounded) < 0x1p-126) return sign;
    if (std::fabs(rounded) >= 0x1p128) return sign | 0x7f80;
    const float number = float(rounded);  // exact
    uint32_t wide;
    std::memcpy(&wide, &number, sizeof wide);
    return uint16_t(wide >> 16);
}

uint16_t reference(uint16_t a, uint16_t b) {
#ifdef SUM
    return nearest(value(a) + value(b));
#else
    return nearest(value(a) * value(b));
#endif
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const uint64_t pairs = std::strtoull(argv[1], nullptr, 10);
    const uint64_t stride = std::strtoull(argv[2], nullptr, 10);
    VerilatedContext context;
    Vtop top{&context};
    uint64_t mismatches = 0, nan = 0, infinite = 0, zero = 0;
    for (uint64_t i = 0; i < pairs; ++i) {
        const uint32_t pair = uint32_t(i * stride);
        const uint16_t a = uint16_t(pair >> 16), b = uint16_t(pair);
        top.a = a;
        top.b = b;
        top.eval();
        const uint16_t expected = reference(a, b), found = top.result;
        if (found != expected && mismatches++ == 0)
            std::printf("first %04x %04x expected %04x found %04x\n", a, b, expected, found);
        nan += expected == 0x7fc0;
        infinite += (expected & 0x7fff) == 0x7f80;
        zero += (expected & 0x7fff) == 0;
    }
    std::printf("pairs %" PRIu64 " mismatches %" PRIu64 " nan %" PRIu64 " infinite %" PRIu64
                " zero %" PRIu64 "\n", pairs, mismatches, nan, infinite, zero);
    return 0;
}
