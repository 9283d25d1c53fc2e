/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatcher. It takes a command through the checks of its row in the order of [sev 5.5],
 * copies the buffer in once and the outputs back, and writes one trace line, with the rule if a
 * check refused.
 */
#include "firmware/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum sev_status refuse(struct call *c, enum sev_status status, const char *rule, ...)
{
    va_list args;
    va_start(args, rule);
    vsnprintf(c->fw->rule, sizeof c->fw->rule, rule, args);
    va_end(args);
    return status;
}

void note(struct call *c, const char *format, ...)
{
    size_t used = strlen(c->detail);
    va_list args;
    va_start(args, format);
    vsnprintf(c->detail + used, sizeof c->detail - used, format, args);
    va_end(args);
}

void note_answer(struct call *c, u32 status)
{
    note(c, " answer=%s", sev_status_name(status));
    if (status != SEV_STATUS_SUCCESS)
        note(c, " rule=\"%s\"", c->fw->rule);
    c->fw->rule[0] = 0;
}

void set_pstate(struct call *c, enum sev_pstate state)
{
    if (c->fw->state != state)
        note(c, " platform=%s>%s", sev_pstate_name(c->fw->state), sev_pstate_name(state));
    c->fw->state = state;
}

void set_gstate(struct call *c, struct guest *g, enum sev_gstate state)
{
    note(c, " guest=%s>%s", sev_gstate_name(g->state), sev_gstate_name(state));
    g->state = state;
}

/* --- Memory as commands see it ---------------------------------------------------------------- */

static bool ranges_meet(u64 a, u64 a_size, u64 b, u64 b_size)
{
    return a_size && b_size && a < b + b_size && b < a + a_size;
}

enum sev_status check_range(struct call *c, const char *what, u64 paddr, u64 len, u32 align)
{
    const struct firmware *fw = c->fw;
    u64 spa = real_address(fw, paddr);
    if (spa & (align - 1))
        return refuse(c, SEV_STATUS_INVALID_ADDRESS, "%s 0x%" PRIx64 " is not a multiple of %u",
                      what, spa, align);
    if (!range_fits(spa, len, memory_size(fw->memory)))
        return refuse(c, SEV_STATUS_INVALID_ADDRESS,
                      "%s 0x%" PRIx64 " and %" PRIu64 " bytes are not inside memory", what, spa,
                      len);
    if (ranges_meet(spa, len, fw->tmr_base, fw->tmr_size))
        return refuse(c, SEV_STATUS_INVALID_ADDRESS, "%s 0x%" PRIx64 " is in the firmware's TMR",
                      what, spa);
    if (rmp_is_table(fw->memory, spa, len))
        return refuse(c, SEV_STATUS_INVALID_ADDRESS, "%s 0x%" PRIx64 " is in the RMP", what, spa);
    if (iommu_meets(fw, spa, len))
        return refuse(c, SEV_STATUS_INVALID_ADDRESS, "%s 0x%" PRIx64 " is the IOMMU's", what, spa);
    return SEV_STATUS_SUCCESS;
}

enum sev_status check_output(struct call *c, const char *what, u64 paddr, u64 len, u32 align)
{
    enum sev_status status = check_range(c, what, paddr, len, align);
    u64 spa = real_address(c->fw, paddr);
    if (c->fw->snp.state == SNP_PSTATE_UNINIT || !c->fw->snp.rmp_init)
        return status;
    for (u64 at = ALIGN_DOWN(spa, PAGE_SIZE); status == SEV_STATUS_SUCCESS && at < spa + len;
         at += PAGE_SIZE) {
        enum rmp_state state = rmp_state(c->fw->memory, at);
        if (state != RMP_FIRMWARE && state != RMP_DEFAULT)
            status = refuse(c, SEV_STATUS_INVALID_PAGE_STATE,
                            "%s: SNP is initialised, so page 0x%" PRIx64
                            " must be Firmware to be written, it is %s",
                            what, at, rmp_state_name(state));
    }
    return status;
}

enum sev_status read_range(struct call *c, const char *what, u64 paddr, void *out, u32 len)
{
    enum sev_status status = check_range(c, what, paddr, len, 1);
    if (status == SEV_STATUS_SUCCESS)
        memory_read(c->fw->memory, real_address(c->fw, paddr), KEY_RAW, out, len);
    return status;
}

enum sev_status write_range(struct call *c, const char *what, u64 paddr, const void *data, u32 len)
{
    enum sev_status status = check_output(c, what, paddr, len, 1);
    if (status == SEV_STATUS_SUCCESS)
        memory_write(c->fw->memory, real_address(c->fw, paddr), KEY_RAW, data, len);
    return status;
}

bool length_suffices(u32 *have, u32 need)
{
    bool enough = *have >= need;
    *have = enough ? *have : need;
    return enough;
}

/* --- The checks, one function each ------------------------------------------------------------ */

/* Returns true if this firmware has the command. SNP's commands came with the SNP parts, some later
 * than others. */
static bool command_exists(const struct call *c)
{
    const struct firmware_profile *p = c->fw->profile;
    if (c->command->flags & SNP)
        return p->report_version && c->command->since <= p->api_minor;
    return p->api_major || c->command->since <= p->api_minor;
}

static enum sev_status check_snp_pstate(struct call *c)
{
    if (!(c->command->pstates & 1u << c->fw->snp.state))
        return refuse(c, SEV_STATUS_INVALID_PLATFORM_STATE, "not allowed in SNP platform state %s",
                      snp_pstate_name(c->fw->snp.state));
    if ((c->command->flags & NEEDS_RMP) && !c->fw->snp.rmp_init)
        return refuse(c, SEV_STATUS_RMP_INIT_REQUIRED, "SNP_INIT_EX ran without INIT_RMP");
    return SEV_STATUS_SUCCESS;
}

static enum sev_status check_pstate(struct call *c)
{
    if (c->command->flags & SNP)
        return check_snp_pstate(c);
    if (c->command->pstates & 1u << c->fw->state)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_PLATFORM_STATE, "not allowed in platform state %s",
                  sev_pstate_name(c->fw->state));
}

static enum sev_status check_context(struct call *c)
{
    enum sev_status status = snp_context_load(
        c, "guest context", load_le64(c->in.bytes + c->command->handle_at), &c->context);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    c->gctx = c->context.self;
    note(c, " gctx=0x%" PRIx64, c->gctx);
    if (c->command->gstates & 1u << c->context.state)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_GUEST_STATE, "not allowed in guest state %s",
                  snp_gstate_name(c->context.state));
}

static enum sev_status check_guest(struct call *c)
{
    const struct command *command = c->command;
    if (command->flags & GCTX)
        return check_context(c);
    if (!(command->flags & (HANDLE | HANDLE_OPTIONAL)))
        return SEV_STATUS_SUCCESS;
    u32 handle = load_le32(c->in.bytes + command->handle_at);
    if (!handle && (command->flags & HANDLE_OPTIONAL))
        return SEV_STATUS_SUCCESS;
    note(c, " handle=%u", handle);
    c->guest = guest_find(c->fw, handle);
    if (!c->guest)
        return refuse(c, SEV_STATUS_INVALID_GUEST, "no guest has handle %u", handle);
    if (!(command->flags & HANDLE_OPTIONAL) && !(command->gstates & 1u << c->guest->state))
        return refuse(c, SEV_STATUS_INVALID_GUEST_STATE, "not allowed in guest state %s",
                      sev_gstate_name(c->guest->state));
    return SEV_STATUS_SUCCESS;
}

static const char *policy_bit_name(u32 bits)
{
    static const char *const names[] = {"NODBG", "NOKS", "ES", "NOSEND", "DOMAIN", "SEV"};
    for (u32 i = 0; i < ARRAY_SIZE(names); i++)
        if (bits & 1u << i)
            return names[i];
    return "?";
}

static const char *snp_policy_bit_name(u32 bits)
{
    return bits & SNP_POLICY_DEBUG ? "DEBUG" : "PAGE_SWAP_DISABLE";
}

static enum sev_status check_policy(struct call *c)
{
    if (!c->guest && !c->gctx)
        return SEV_STATUS_SUCCESS;
    const char *(*name)(u32 bits) = c->gctx ? snp_policy_bit_name : policy_bit_name;
    u32 policy = c->gctx ? (u32)c->context.id.policy : c->guest->policy;
    u32 set = policy & c->command->policy_clear;
    u32 clear = ~policy & c->command->policy_set;
    if (set)
        return refuse(c, SEV_STATUS_POLICY_FAILURE, "the guest's policy has %s", name(set));
    if (clear)
        return refuse(c, SEV_STATUS_POLICY_FAILURE, "the guest's policy does not have %s",
                      name(clear));
    return SEV_STATUS_SUCCESS;
}

static enum sev_status check_active(struct call *c)
{
    if (!(c->command->flags & NEEDS_ACTIVE) || (c->gctx ? c->context.asid : c->guest->asid))
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INACTIVE, "the guest is not activated: no ASID has its key");
}

static enum sev_status check_parameters(struct call *c)
{
    return c->command->parameters ? c->command->parameters(c) : SEV_STATUS_SUCCESS;
}

static enum sev_status check_lengths(struct call *c)
{
    return c->command->lengths ? c->command->lengths(c) : SEV_STATUS_SUCCESS;
}

static enum sev_status run(struct call *c)
{
    return c->command->run(c);
}

/* The address of the buffer is checked before these steps; each command checks certificates and
 * MACs itself, in run. */
static command_step *const steps[] = {
    check_pstate, check_parameters, check_guest, check_lengths, check_policy, check_active, run,
};

static enum sev_status take_steps(struct call *c, u32 id, u64 buffer_spa)
{
    if (!c->command)
        return refuse(c, SEV_STATUS_INVALID_COMMAND, "there is no command 0x%02x", id);
    if (!command_exists(c))
        return refuse(c, SEV_STATUS_INVALID_COMMAND, "firmware %s, API %u.%u, does not have it",
                      c->fw->profile->name, c->fw->profile->api_major, c->fw->profile->api_minor);
    if (!c->command->run)
        return refuse(c, SEV_STATUS_UNSUPPORTED, "this firmware does not have it");
    enum sev_status status = SEV_STATUS_SUCCESS;
    if (c->command->flags & WRITES_BUFFER)
        status = check_output(c, "command buffer", buffer_spa, c->command->size, 1);
    if (c->command->size && status == SEV_STATUS_SUCCESS)
        status = read_range(c, "command buffer", buffer_spa, c->in.bytes, c->command->size);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    for (size_t i = 0; i < ARRAY_SIZE(steps) && status == SEV_STATUS_SUCCESS; i++)
        status = steps[i](c);
    /* When a command refuses a length, the buffer already has the lengths that are needed [sev
     * 4.4]. The buffers of SNP commands are only read. */
    if ((c->command->flags & WRITES_BUFFER) &&
        (status == SEV_STATUS_SUCCESS || status == SEV_STATUS_INVALID_LENGTH))
        memory_write(c->fw->memory, real_address(c->fw, buffer_spa), KEY_RAW, c->in.bytes,
                     c->command->size);
    if (c->gctx && status == SEV_STATUS_SUCCESS)
        snp_context_save(c->fw, &c->context);
    return status;
}

/* --- The trace line --------------------------------------------------------------------------- */

static void trace_command(struct call *c, u32 id, enum sev_status status)
{
    struct firmware *fw = c->fw;
    if (!trace_wants(fw->trace, TRACE_COMMAND))
        return;
    char name[24], rule[sizeof fw->rule + 10] = "";
    snprintf(name, sizeof name, "0x%02x", id);
    if (status != SEV_STATUS_SUCCESS)
        snprintf(rule, sizeof rule, " rule=\"%s\"", fw->rule);
    trace_event(fw->trace, TRACE_COMMAND, c->command ? c->command->name : name, "status=%s%s%s",
                sev_status_name(status), c->detail, rule);
}

u32 firmware_mailbox(struct firmware *fw, u32 command, u64 buffer_spa)
{
    struct call c;
    memset(&c, 0,
           offsetof(struct call, context)); /* not the context: it is loaded before it is used */
    memset(&c.in, 0, sizeof c - offsetof(struct call, in));
    c.fw = fw;
    c.command = command_find(command);
    fw->rule[0] = 0;
    enum sev_status status = take_steps(&c, command, buffer_spa);
    trace_command(&c, command, status);
    crypto_wipe(&c.context, sizeof c.context);
    assert(firmware_sound(fw));
    return status;
}

const char *firmware_rule(const struct firmware *fw)
{
    return fw->rule;
}
