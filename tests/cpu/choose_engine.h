/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine under test. meson runs each test of the core twice: once with the interpreter, and
 * once with SOFTSEV_TEST_ENGINE=jit, where every block is translated when it runs first.
 */
#ifndef SOFTSEV_TESTS_CPU_CHOOSE_ENGINE_H
#define SOFTSEV_TESTS_CPU_CHOOSE_ENGINE_H

#include "cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

static inline struct cpu_config with_engine(struct cpu_config config)
{
    const char *name = getenv("SOFTSEV_TEST_ENGINE");
    bool jit = name && strcmp(name, "jit") == 0;
    config.engine = jit ? CPU_ENGINE_JIT : CPU_ENGINE_INTERPRETER;
    config.jit_threshold = jit;
    config.jit_bytes = 256u << 10; /* is full now and then */
    return config;
}

#endif
