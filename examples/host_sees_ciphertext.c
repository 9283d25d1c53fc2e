/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a VMM author: a machine, its firmware and its host's view of memory. Powers the platform on,
 * loads a key into the memory controller the way firmware does at ACTIVATE, writes through it as a
 * guest would, and reads the same address as host ring 0.
 *
 *   cc host_sees_ciphertext.c $(pkg-config --cflags --libs --static softsev) -o host_sees_ciphertext
 */
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "machine/host.h"
#include "machine/machine.h"

#include <stdio.h>

int main(void)
{
    struct crypto *crypto = crypto_create(NULL, 0);
    struct machine_config config = {.memory_size = MIB(16), .cores = 1, .crypto = crypto};
    struct error error = {.code = ERROR_NONE};
    crypto_random(crypto, config.fuses, sizeof config.fuses);
    struct machine *machine = machine_create(&config, &error);
    if (!machine) {
        fprintf(stderr, "%s\n", error.text);
        return (int)error.code;
    }
    u8 key[16], seen[16];
    char text[33];
    crypto_random(crypto, key, sizeof key);
    memory_key_load(machine_memory(machine), MACHINE_ASID_MIN, key);
    memory_write(machine_memory(machine), 0x1000, MACHINE_ASID_MIN, "a guest's secret", 16);
    host_read(machine_host(machine), 0x1000, seen, sizeof seen);
    hex_encode(text, seen, sizeof seen);
    printf("the guest wrote \"a guest's secret\", the host reads %s\n", text);
    machine_destroy(machine);
    crypto_destroy(crypto);
    return memcmp(seen, "a guest's secret", 16) == 0;
}
