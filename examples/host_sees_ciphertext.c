/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a VMM author: a machine, its firmware and its host's view of memory. Powers the platform on,
 * loads a key into the memory controller the way firmware does at ACTIVATE, writes through it as a
 * guest would, and reads the same address as host ring 0.
 *
 *   cc host_sees_ciphertext.c $(pkg-config --cflags --libs softsev) -o host_sees_ciphertext
 */
#include <softsev/base/bytes.h>
#include <softsev/crypto/crypto.h>
#include <softsev/machine/host.h>
#include <softsev/machine/machine.h>

#include <stdio.h>

int main(void)
{
    struct softsev_crypto *crypto = softsev_crypto_create(NULL, 0);
    struct softsev_machine_config config = {
        .memory_size = SOFTSEV_MIB(16), .cores = 1, .crypto = crypto};
    struct softsev_error error = {.code = SOFTSEV_ERROR_NONE};
    softsev_crypto_random(crypto, config.fuses, sizeof config.fuses);
    struct softsev_machine *machine = softsev_machine_create(&config, &error);
    if (!machine) {
        fprintf(stderr, "%s\n", error.text);
        return (int)error.code;
    }
    uint8_t key[16], seen[16];
    char text[33];
    softsev_crypto_random(crypto, key, sizeof key);
    softsev_memory_key_load(softsev_machine_memory(machine), SOFTSEV_MACHINE_ASID_MIN, key);
    softsev_memory_write(softsev_machine_memory(machine), 0x1000, SOFTSEV_MACHINE_ASID_MIN,
                         "a guest's secret", 16);
    softsev_host_read(softsev_machine_host(machine), 0x1000, seen, sizeof seen);
    softsev_hex_encode(text, seen, sizeof seen);
    printf("the guest wrote \"a guest's secret\", the host reads %s\n", text);
    softsev_machine_destroy(machine);
    softsev_crypto_destroy(crypto);
    return memcmp(seen, "a guest's secret", 16) == 0;
}
