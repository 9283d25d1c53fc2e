/* SPDX-License-Identifier: Apache-2.0 */
/* Creates a core in its state after reset, destroys it, and gives the host its registers. */
#include "cpu/internal.h"
#include "cpu/svm/vmsa_switch.h"
#include "cpu/jit/jit.h"

#include <stdlib.h>

static void reset(struct cpu *c)
{
    c->arch.pat = PAT_RESET;
    c->arch.dr6 = DR6_RESET;
    c->arch.dr7 = DR7_RESET;
    c->arch.xcr0 = XSTATE_X87;
    c->arch.mxcsr = 0x1f80;
    c->arch.x87.control = 0x37f;
    c->arch.x87.tag = 0xffff;
    c->arch.cr0 = CR0_ET;
    c->msr.tsc_ratio = TSC_RATIO_ONE;
    c->msr.apic_base = 0xfee00000u | BIT(11) | (c->id == 0 ? BIT(8) : 0);
}

struct cpu *cpu_create(const struct cpu_config *config)
{
    struct cpu *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->id = config->id;
    c->memory = config->memory;
    c->clock = config->clock;
    c->trace = config->trace;
    c->random = config->random;
    c->asid_min = config->asid_min ? config->asid_min : 1;
    c->cores = config->cores ? config->cores : 1;
    if (config->model)
        c->model = *config->model;
    else
        cpu_model_of_part(PART_COUNT, &c->model);
    features_offer(c);
    reset(c);
    if (!blocks_create(c) || !mmu_create(c)) {
        cpu_destroy(c);
        return NULL;
    }
    c->engine.jit_threshold = config->jit_threshold ? config->jit_threshold : JIT_THRESHOLD;
    if (config->engine != CPU_ENGINE_INTERPRETER)
        jit_create(c, config->jit_bytes); /* without it, the core interprets */
    segment_update(c);
    return c;
}

void cpu_destroy(struct cpu *c)
{
    if (!c)
        return;
    mmu_destroy(c);
    blocks_destroy(c);
    jit_destroy(c);
    free(c->bare.world);
    free(c);
}

u64 *cpu_gpr(struct cpu *c)
{
    return c->arch.r;
}

u64 *cpu_dr(struct cpu *c)
{
    return c->arch.dr;
}

u64 *cpu_xcr0(struct cpu *c)
{
    return &c->arch.xcr0;
}

/* Caches are coherent: there is nothing to write back. */
void cpu_wbinvd(struct cpu *c)
{
    (void)c;
}

enum cpu_engine cpu_engine(const struct cpu *c)
{
    return c->engine.jit ? CPU_ENGINE_JIT : CPU_ENGINE_INTERPRETER;
}

struct cpu_statistics cpu_statistics(const struct cpu *c)
{
    return c->engine.statistics;
}
