/* SPDX-License-Identifier: Apache-2.0 */
/* A program in C++ that includes every installed header (-include) and calls the library. */
#include <cstdio>

int main()
{
    softsev_error error = {};
    softsev_crypto *crypto = softsev_crypto_create("caller", 6);
    softsev_machine_config config = {};
    config.memory_size = SOFTSEV_MIB(32);
    config.cores = 1;
    config.crypto = crypto;
    config.fuses[0] = 1;
    softsev_machine *machine = softsev_machine_create(&config, &error);
    if (!machine ||
        softsev_snp_tcb_pack(SOFTSEV_SNP_TCB_MILAN, {0, 4, 0, 24, 219}) != 0xdb18000000000004ull) {
        std::printf("%s\n", error.text);
        return 1;
    }
    softsev_rmp_entry entry = {};
    const uint64_t raw[2] = {1ull << 62 | 7ull << 51 | 0x5000, 0x0f0f0f0f};
    softsev_rmp_entry_unpack(&entry, raw);
    softsev_machine_destroy(machine);
    softsev_crypto_destroy(crypto);
    return entry.validated && entry.asid == 7 && entry.gpa == 0x5000 ? 0 : 1;
}
