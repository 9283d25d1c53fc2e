/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with its own meaning for names that the rooms use inside. It must compile with every
 * installed header (-include), link with the archive and with the shared library, and find its own
 * functions called.
 */
#include <stdio.h>
#include <stdlib.h>

typedef unsigned long long u64;
typedef signed char u8;

#define ARRAY_SIZE(a) "mine"
#define BIT(n)        "mine"
#define MIB(n)        "mine"
#define PAGE_SIZE     "mine"
#define LIKELY(x)     "mine"

enum { ERROR_FILE = -1, TRACE_VM = -2, KEY_RAW = -3 };

struct machine {
    int wheels;
};

struct error {
    u64 square;
};

struct cpu {
    u8 cake;
};

static int calls;

/* Outside the program: what the library called by one of these names would come here. */
#define OURS(name) void name(void)
OURS(copy);
OURS(init);
OURS(nop);
OURS(lower);
OURS(note);
OURS(run);
OURS(machine_create);
OURS(crypto_random);
OURS(cpu_vmrun);

void copy(void)
{
    calls++;
}

void init(void)
{
    calls++;
}

void nop(void)
{
    calls++;
}

void lower(void)
{
    calls++;
}

void note(void)
{
    calls++;
}

void run(void)
{
    calls++;
}

void machine_create(void)
{
    abort();
}

void crypto_random(void)
{
    abort();
}

void cpu_vmrun(void)
{
    abort();
}

int main(void)
{
    struct softsev_error e = {.code = SOFTSEV_ERROR_NONE};
    struct softsev_crypto *crypto = softsev_crypto_create("neighbour", 9);
    struct softsev_machine_config config = {
        .memory_size = SOFTSEV_MIB(32), .cores = 1, .crypto = crypto, .fuses = {1}};
    struct softsev_machine *m = softsev_machine_create(&config, &e);
    struct machine bicycle = {.wheels = 2};
    struct error mistake = {.square = 4};
    struct cpu spent = {.cake = 1};
    copy();
    init();
    nop();
    lower();
    note();
    run();
    if (!m || calls != 6 || bicycle.wheels != 2 || mistake.square != 4 || spent.cake != 1)
        return 1;
    softsev_machine_destroy(m);
    softsev_crypto_destroy(crypto);
    printf("%d.%d.%d\n", SOFTSEV_VERSION_MAJOR, SOFTSEV_VERSION_MINOR, SOFTSEV_VERSION_PATCH);
    return 0;
}
