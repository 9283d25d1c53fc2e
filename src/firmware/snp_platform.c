/* SPDX-License-Identifier: Apache-2.0 */
/* SNP's platform: initialisation and shutdown, status, TCB and configuration [snp 3.3, 9]. */
#include "firmware/internal.h"

#include <inttypes.h>
#include <stdlib.h>

#define SYSCFG_MSR         0xc0010010u
#define HSAVE_MSR          0xc0010117u
#define RMP_BASE_MSR       0xc0010132u
#define RMP_END_MSR        0xc0010133u
#define SYSCFG_SNP_EN      BIT(24)
#define SYSCFG_VMPL_EN     BIT(25)
#define RMP_BASE_ALIGNMENT MIB(1) /* required by the firmware [snp 4.1] */

static u32 version(const struct firmware_committed *f)
{
    return (u32)f->major << 16 | (u32)f->minor << 8 | f->build;
}

bool snp_create(struct firmware *fw, const struct firmware_config *config)
{
    memcpy(fw->fuses, config->fuses, sizeof fw->fuses);
    fw->processor = config->processor;
    fw->cores = config->cores;
    fw->rmp_base = config->rmp_base;
    fw->rmp_end = config->rmp_end;
    fw->smt = config->smt;
    fw->commit = config->commit;
    fw->commit_context = config->commit_context;
    const struct firmware_profile *p = fw->profile;
    fw->snp = (struct snp_platform){
        .state = SNP_PSTATE_UNINIT,
        .committed = {p->tcb, p->api_major, p->api_minor, p->build},
        .mitigations = p->mitigations,
    };
    const struct firmware_committed *kept = &config->committed;
    if (!snp_tcb_at_most(kept->tcb, p->tcb))
        return false;
    if (kept->tcb && version(kept) <= version(&fw->snp.committed))
        fw->snp.committed = *kept;
    else if (kept->tcb)
        fw->snp.committed.tcb = kept->tcb; /* a later build: the running version is committed */
    fw->snp.reported_tcb = fw->snp.committed.tcb;
    fw->snp.asid_owner = calloc((size_t)fw->asid_max + 1, sizeof *fw->snp.asid_owner);
    fw->swap = malloc(RMP_LARGE_SIZE);
    return fw->snp.asid_owner && fw->swap;
}

void snp_destroy(struct firmware *fw)
{
    for (u32 asid = 1; fw->snp.asid_owner && asid <= fw->asid_max; asid++)
        if (fw->snp.asid_owner[asid])
            memory_key_unload(fw->memory, asid);
    free(fw->snp.asid_owner);
    free(fw->swap);
}

u64 snp_asid_owner(const struct firmware *fw, u32 asid)
{
    return asid <= fw->asid_max ? fw->snp.asid_owner[asid] : 0;
}

/* Checks what must hold between two commands. DRAM's contents are not checked: a host that has a
 * second address for a page can forge the RMP and contexts. */
bool snp_sound(const struct firmware *fw)
{
    const struct snp_platform *s = &fw->snp;
    bool sound = s->state == SNP_PSTATE_INIT || !s->guest_count;
    sound = sound && snp_tcb_at_most(s->reported_tcb, s->committed.tcb) &&
            snp_tcb_at_most(s->committed.tcb, fw->profile->tcb);
    for (u32 asid = 1; asid <= fw->asid_max && sound; asid++)
        sound = !s->asid_owner[asid] || memory_key_loaded(fw->memory, asid);
    return sound;
}

u64 firmware_reported_tcb(const struct firmware *fw)
{
    return fw->profile->report_version ? fw->snp.reported_tcb : 0;
}

bool firmware_has_vlek(const struct firmware *fw)
{
    return fw->snp.vlek_loaded;
}

/* --- SNP_INIT, SNP_INIT_EX -------------------------------------------------------------------- */

/* Reads an MSR that must be the same on every core. */
static enum sev_status read_cores(struct call *c, u32 msr, const char *name, u64 mask, u64 *value)
{
    const struct firmware *fw = c->fw;
    for (u32 core = 0; core < fw->cores; core++) {
        u64 one = 0;
        RULE_CHECK(c, fw->processor.read_msr(fw->processor.context, core, msr, &one),
                   INVALID_CONFIG, "core %u has no MSR %s", core, name);
        one &= mask;
        RULE_CHECK(c, !core || one == *value, INVALID_CONFIG,
                   "%s is 0x%" PRIx64 " on core 0 and 0x%" PRIx64 " on core %u", name, *value, one,
                   core);
        *value = one;
    }
    return SEV_STATUS_SUCCESS;
}

static enum sev_status read_processor(struct call *c, u64 *base, u64 *end)
{
    u64 syscfg = 0, hsave = 0;
    enum sev_status status =
        read_cores(c, SYSCFG_MSR, "SYSCFG", SYSCFG_SNP_EN | SYSCFG_VMPL_EN, &syscfg);
    if (status == SEV_STATUS_SUCCESS && !(syscfg & SYSCFG_SNP_EN))
        status = refuse(c, SEV_STATUS_INVALID_CONFIG, "SYSCFG.SNP_EN is not set");
    if (status == SEV_STATUS_SUCCESS)
        status = read_cores(c, HSAVE_MSR, "VM_HSAVE_PA", ~0ull, &hsave);
    if (status == SEV_STATUS_SUCCESS && hsave)
        status = refuse(c, SEV_STATUS_INVALID_CONFIG,
                        "VM_HSAVE_PA is 0x%" PRIx64 ", it must be zero", hsave);
    if (status == SEV_STATUS_SUCCESS)
        status = read_cores(c, RMP_BASE_MSR, "RMP_BASE", ~0ull, base);
    if (status == SEV_STATUS_SUCCESS)
        status = read_cores(c, RMP_END_MSR, "RMP_END", ~0ull, end);
    return status == SEV_STATUS_SUCCESS ? check_wbinvd(c) : status;
}

/* Finds the RMP. RMP_END may hold the address of the last 8 KiB block or of the last byte. */
static enum sev_status locate_rmp(struct call *c, u64 *base, u64 *end)
{
    struct firmware *fw = c->fw;
    *base = fw->rmp_base;
    *end = fw->rmp_end;
    enum sev_status status =
        fw->processor.read_msr ? read_processor(c, base, end) : SEV_STATUS_SUCCESS;
    if (status != SEV_STATUS_SUCCESS)
        return status;
    *end |= RMP_ALIGNMENT - 1;
    u64 size = memory_size(fw->memory);
    RULE_CHECK(c,
               *base < *end && *base % RMP_BASE_ALIGNMENT == 0 &&
                   *end<size && * end + 1 - *base> RMP_BOOKKEEPING,
               INVALID_CONFIG,
               "RMP_BASE 0x%" PRIx64 " and RMP_END 0x%" PRIx64
               " are not a table in memory, aligned to 1 MiB",
               *base, *end);
    RULE_CHECK(c, !fw->tmr_size, INVALID_PLATFORM_STATE,
               "SEV has its TMR already: SNP_INIT comes first");
    return SEV_STATUS_SUCCESS;
}

/* SNP_INIT looks for a second address of a page of memory, one bit away from the first: a write at
 * one address shows at the other. When to look, and which status to return, is softsev's own
 * choice; hardware looks while it boots. */
#define ADDRESS_BITS 52u

static bool shows(struct memory *m, u64 spa, const u8 mark[16])
{
    u8 bytes[16];
    return memory_peek(m, spa, KEY_RAW, bytes, sizeof bytes) && !memcmp(bytes, mark, sizeof bytes);
}

static u64 find_alias(struct firmware *fw)
{
    static const u8 marks[2][16] = {"is this address ", "the only one to?"};
    u8 old[16];
    u64 found = 0;
    if (!memory_peek(fw->memory, 0, KEY_RAW, old, sizeof old))
        return 0;
    for (u32 bit = PAGE_SHIFT; bit < ADDRESS_BITS && !found; bit++) {
        bool both = true;
        for (u32 i = 0; i < 2 && both; i++)
            both = memory_write(fw->memory, 0, KEY_RAW, marks[i], sizeof marks[i]) &&
                   shows(fw->memory, BIT(bit), marks[i]);
        found = both ? BIT(bit) : 0;
    }
    memory_write(fw->memory, 0, KEY_RAW, old, sizeof old);
    return found;
}

static enum sev_status check_aliases(struct call *c)
{
    if (!(c->fw->profile->platform_info & SNP_PLATFORM_ALIAS_CHECK_COMPLETE))
        return SEV_STATUS_SUCCESS;
    u64 alias = find_alias(c->fw);
    RULE_CHECK(c, !alias, INVALID_CONFIG, "memory at 0x0 has a second address, 0x%" PRIx64, alias);
    return SEV_STATUS_SUCCESS;
}

/* Starts the platform. Pages of the table and pages of earlier guests belong to no guest now. */
static void start_platform(struct call *c, const struct snp_init_ex *in)
{
    struct firmware *fw = c->fw;
    fw->snp.rapl_dis = in->flags & SNP_INIT_RAPL_DIS;
    fw->snp.ciphertext_hiding = in->flags & SNP_INIT_CIPHERTEXT_HIDING_EN;
    fw->snp.asid_max = (u32)min_u64(fw->asid_min ? fw->asid_min - 1 : 0, fw->asid_max);
    if (fw->snp.ciphertext_hiding)
        fw->snp.asid_max = in->max_snp_asid;
    asids_mark_dirty(fw);
    note(c, " rmp=%s snp=UNINIT>INIT", fw->snp.rmp_init ? "initialised" : "untouched");
    fw->snp.state = SNP_PSTATE_INIT;
}

/* Reads the list of pages that the host wants to keep writable. Their old states do not matter,
 * because every entry is written anew. The list may contain the RMP: Linux lists it where the BIOS
 * has reserved it [host 1.5]. */
static enum sev_status read_fixed(struct call *c, const struct snp_init_ex *in,
                                  struct range_list *list)
{
    list->count = 0;
    if (!(in->flags & SNP_INIT_LIST_PADDR_EN) || !(in->flags & SNP_INIT_RMP))
        return SEV_STATUS_SUCCESS;
    enum sev_status status = range_list_read(c, in->list_paddr, list);
    if (status == SEV_STATUS_SUCCESS)
        status = range_list_check(c, list, false, 0);
    return status;
}

static enum sev_status init_platform(struct call *c, const struct snp_init_ex *in)
{
    struct firmware *fw = c->fw;
    const bool clear = in->flags & SNP_INIT_RMP;
    struct range_list list;
    struct iommu_pages iommu;
    u64 base, end;
    RULE_CHECK(c, fw->state == SEV_PSTATE_UNINIT, INVALID_PLATFORM_STATE,
               "SEV is initialised already: SNP_INIT comes before INIT");
    enum sev_status status = locate_rmp(c, &base, &end);
    if (status == SEV_STATUS_SUCCESS)
        status = check_aliases(c);
    if (status == SEV_STATUS_SUCCESS)
        status = read_fixed(c, in, &list);
    if (status == SEV_STATUS_SUCCESS)
        status = iommu_read(c, base, end, clear, &iommu);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    if (clear) {
        RULE_CHECK(c, rmp_enable(fw->memory, base, end), RMP_INIT_FAILED,
                   "the RMP cannot be placed at 0x%" PRIx64, base);
        rmp_clear(fw->memory);
        fw->snp.rmp_init = true;
        range_list_fix(c, &list);
    }
    iommu_take(c, &iommu);
    start_platform(c, in);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_init(struct call *c)
{
    const struct snp_init_ex in = {.flags = SNP_INIT_RMP};
    return init_platform(c, &in);
}

enum sev_status snp_init_ex_parameters(struct call *c)
{
    const struct snp_init_ex *in = &c->in.snp_init_ex;
    const u32 known =
        SNP_INIT_RMP | SNP_INIT_LIST_PADDR_EN | SNP_INIT_RAPL_DIS | SNP_INIT_CIPHERTEXT_HIDING_EN;
    u32 features = c->fw->profile->features;
    RULE_CHECK(c, !(in->flags & SNP_INIT_TIO_EN), INVALID_PARAM, "SEV-TIO is not offered");
    RULE_CHECK(c,
               !(in->flags & ~known) && !in->reserved_04 &&
                   all_zero(in->reserved_12, sizeof in->reserved_12),
               INVALID_PARAM, "reserved bits are set");
    RULE_CHECK(c, !(in->flags & SNP_INIT_RAPL_DIS) || (features & SNP_FEATURE_ECX_RAPL_DIS),
               INVALID_PARAM, "RAPL_DIS is not offered");
    if (!(in->flags & SNP_INIT_CIPHERTEXT_HIDING_EN))
        return SEV_STATUS_SUCCESS;
    RULE_CHECK(c, features & SNP_FEATURE_ECX_CIPHERTEXT_HIDING, INVALID_PARAM,
               "CIPHERTEXT_HIDING_DRAM is not offered");
    RULE_CHECK(c,
               in->max_snp_asid && in->max_snp_asid < c->fw->asid_min &&
                   in->max_snp_asid <= c->fw->asid_max,
               INVALID_PARAM, "MAX_SNP_ASID is %u, it must be 1 to %u", in->max_snp_asid,
               c->fw->asid_min - 1);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_init_ex(struct call *c)
{
    return init_platform(c, &c->in.snp_init_ex);
}

/* --- SNP_SHUTDOWN, SNP_SHUTDOWN_EX, SNP_DF_FLUSH ---------------------------------------------- */

static bool asids_dirty(const struct firmware *fw)
{
    for (u32 asid = 1; asid <= fw->snp.asid_max; asid++)
        if (fw->asid_dirty[asid])
            return true;
    return false;
}

static enum sev_status shutdown_snp(struct call *c, u32 flags)
{
    struct firmware *fw = c->fw;
    if (fw->snp.state == SNP_PSTATE_UNINIT)
        return SEV_STATUS_SUCCESS;
    RULE_CHECK(c, fw->state == SEV_PSTATE_UNINIT, INVALID_PLATFORM_STATE,
               "SEV is still initialised: SHUTDOWN comes before SNP_SHUTDOWN");
    RULE_CHECK(c, !fw->snp.guest_count, ACTIVE, "%u guests are not decommissioned",
               fw->snp.guest_count);
    RULE_CHECK(c, !asids_dirty(fw), DFFLUSH_REQUIRED,
               "ASIDs were used since the last SNP_DF_FLUSH");
    if (flags & SNP_SHUTDOWN_IOMMU)
        iommu_give_back(c);
    if (flags & SNP_SHUTDOWN_X86) {
        fw->iommu_pages.count = 0;
        rmp_disable(fw->memory);
        fw->snp.rmp_init = false;
    }
    fw->snp.rapl_dis = fw->snp.ciphertext_hiding = false;
    note(c, " snp=INIT>UNINIT");
    fw->snp.state = SNP_PSTATE_UNINIT;
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_shutdown(struct call *c)
{
    return shutdown_snp(c, 0);
}

enum sev_status snp_shutdown_ex_parameters(struct call *c)
{
    const struct snp_shutdown_ex *in = &c->in.snp_shutdown_ex;
    RULE_CHECK(c, in->len == sizeof *in, INVALID_LENGTH, "LEN is %u, not %zu", in->len, sizeof *in);
    RULE_CHECK(c, !(in->flags & ~(SNP_SHUTDOWN_IOMMU | SNP_SHUTDOWN_X86)), INVALID_PARAM,
               "reserved flags are set");
    RULE_CHECK(c,
               !(in->flags & SNP_SHUTDOWN_X86) ||
                   (c->fw->profile->features & SNP_FEATURE_ECX_X86_SHUTDOWN),
               INVALID_PARAM, "X86_SNP_SHUTDOWN is not offered");
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_shutdown_ex(struct call *c)
{
    return shutdown_snp(c, c->in.snp_shutdown_ex.flags);
}

/* Flushes the one data fabric: this command and DF_FLUSH both clean the ASIDs of all guests. */
enum sev_status snp_df_flush(struct call *c)
{
    return df_flush(c);
}

/* --- SNP_PLATFORM_STATUS, SNP_FEATURE_INFO ---------------------------------------------------- */

static u32 status_flags(const struct firmware *fw)
{
    const struct snp_platform *s = &fw->snp;
    u32 features = fw->profile->features;
    return (
        u32)((s->mask_chip_id ? SNP_STATUS_MASK_CHIP_ID : 0) |
             (s->mask_chip_key ? SNP_STATUS_MASK_CHIP_KEY : 0) |
             (s->vlek_loaded ? SNP_STATUS_VLEK_EN : 0) | (features ? SNP_STATUS_FEATURE_INFO : 0) |
             (s->rapl_dis ? SNP_STATUS_RAPL_DIS : 0) |
             (features & SNP_FEATURE_ECX_CIPHERTEXT_HIDING ? SNP_STATUS_CIPHERTEXT_HIDING_CAP : 0) |
             (s->ciphertext_hiding ? SNP_STATUS_CIPHERTEXT_HIDING_EN : 0));
}

enum sev_status snp_platform_status(struct call *c)
{
    const struct firmware *fw = c->fw;
    const struct snp_platform_status out = {
        .api_major = fw->profile->api_major,
        .api_minor = fw->profile->api_minor,
        .state = (u8)fw->snp.state,
        .flags_03 = (u8)((fw->snp.rmp_init ? SNP_STATUS_RMP_INIT : 0) |
                         (fw->profile->platform_info & SNP_PLATFORM_ALIAS_CHECK_COMPLETE
                              ? SNP_STATUS_ALIAS_CHECK_COMPLETE
                              : 0)),
        .build = fw->profile->build,
        .flags_08 = status_flags(fw),
        .guest_count = fw->snp.guest_count,
        .current_tcb = fw->profile->tcb,
        .reported_tcb = fw->snp.reported_tcb,
    };
    u64 paddr = c->in.snp_address.paddr;
    enum sev_status status = page_check_answer(c, "status page", paddr, sizeof out);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    note(c, " state=%s api=%u.%u build=%u guests=%u", snp_pstate_name(fw->snp.state),
         fw->profile->api_major, fw->profile->api_minor, fw->profile->build, fw->snp.guest_count);
    page_answer(c, paddr, &out, sizeof out);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_feature_info_parameters(struct call *c)
{
    const struct snp_feature_info *in = &c->in.snp_feature_info;
    RULE_CHECK(c, c->fw->profile->features, INVALID_COMMAND, "firmware %s does not have it",
               c->fw->profile->name);
    RULE_CHECK(c, in->len == sizeof *in, INVALID_LENGTH, "LEN is %u, not %zu", in->len, sizeof *in);
    RULE_CHECK(c, !in->ecx_in, INVALID_PARAM, "there is no subfunction %u", in->ecx_in);
    RULE_CHECK(c, !(in->paddr & 7), INVALID_ADDRESS, "the address is not a multiple of 8");
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_feature_info(struct call *c)
{
    u8 out[16] = {0};
    store_le32(out + 8, c->fw->profile->features);
    enum sev_status status =
        page_check_answer(c, "feature page", c->in.snp_feature_info.paddr, sizeof out);
    if (status == SEV_STATUS_SUCCESS)
        page_answer(c, c->in.snp_feature_info.paddr, out, sizeof out);
    return status;
}

/* --- TCB: SNP_CONFIG, SNP_COMMIT, SNP_VLEK_LOAD ----------------------------------------------- */

/* Sets the reported TCB. A VLEK is for one TCB, so a change drops the VLEK. */
static void report_tcb(struct call *c, u64 tcb)
{
    struct snp_platform *s = &c->fw->snp;
    note(c, " reported=0x%" PRIx64, tcb);
    if (s->vlek_loaded && s->reported_tcb != tcb) {
        s->vlek_loaded = false;
        crypto_wipe(&s->vlek, sizeof s->vlek);
        note(c, " vlek=dropped");
    }
    s->reported_tcb = tcb;
}

enum sev_status snp_config_parameters(struct call *c)
{
    const struct snp_config *in = &c->in.snp_config;
    RULE_CHECK(c,
               !(in->flags & ~(SNP_CONFIG_MASK_CHIP_ID | SNP_CONFIG_MASK_CHIP_KEY)) &&
                   all_zero(in->reserved_0c, sizeof in->reserved_0c),
               INVALID_PARAM, "reserved bits are set");
    RULE_CHECK(c, !(in->reported_tcb & snp_tcb_reserved(c->fw->profile->tcb_layout)), INVALID_PARAM,
               "REPORTED_TCB 0x%" PRIx64 " sets bytes that are not a component of this part's TCB",
               in->reported_tcb);
    RULE_CHECK(c, snp_tcb_at_most(in->reported_tcb, c->fw->snp.committed.tcb), INVALID_PARAM,
               "REPORTED_TCB 0x%" PRIx64 " has a component above the committed TCB's 0x%" PRIx64,
               in->reported_tcb, c->fw->snp.committed.tcb);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_config(struct call *c)
{
    const struct snp_config *in = &c->in.snp_config;
    struct snp_platform *s = &c->fw->snp;
    s->mask_chip_id = in->flags & SNP_CONFIG_MASK_CHIP_ID;
    s->mask_chip_key = in->flags & SNP_CONFIG_MASK_CHIP_KEY;
    report_tcb(c, in->reported_tcb ? in->reported_tcb : s->committed.tcb);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_commit_parameters(struct call *c)
{
    RULE_CHECK(c, c->in.snp_commit.len == sizeof c->in.snp_commit, INVALID_LENGTH,
               "LEN is %u, not 4", c->in.snp_commit.len);
    return SEV_STATUS_SUCCESS;
}

static enum sev_status commit_current(struct call *c)
{
    struct firmware *fw = c->fw;
    const struct firmware_profile *p = fw->profile;
    const struct firmware_committed next = {p->tcb, p->api_major, p->api_minor, p->build};
    RULE_CHECK(c, !fw->commit || fw->commit(fw->commit_context, &next), HWERROR_PLATFORM,
               "the committed version cannot be kept");
    fw->snp.committed = next;
    report_tcb(c, p->tcb);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_commit(struct call *c)
{
    return commit_current(c);
}

enum sev_status snp_vlek_load_parameters(struct call *c)
{
    const struct snp_vlek_load *in = &c->in.snp_vlek_load;
    RULE_CHECK(c, in->len == sizeof *in, INVALID_LENGTH, "LEN is %u, not %zu", in->len, sizeof *in);
    RULE_CHECK(c, !in->wrapped_version && all_zero(in->reserved_05, sizeof in->reserved_05),
               INVALID_PARAM, "the hashstick's version is %u, not 0, or reserved bytes are set",
               in->wrapped_version);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_vlek_load(struct call *c)
{
    struct firmware *fw = c->fw;
    struct snp_wrapped_vlek wrapped;
    u8 stick[SNP_VLEK_STICK_SIZE];
    enum sev_status status =
        read_range(c, "hashstick", c->in.snp_vlek_load.paddr, &wrapped, sizeof wrapped);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    RULE_CHECK(c,
               all_zero(wrapped.reserved_0c, sizeof wrapped.reserved_0c) &&
                   all_zero(wrapped.reserved_198, sizeof wrapped.reserved_198),
               INVALID_PARAM, "the hashstick has reserved bytes set");
    RULE_CHECK(c, vlek_unwrap(fw->fuses, &wrapped, stick), BAD_MEASUREMENT,
               "the hashstick's tag is wrong: it was changed, or is for another chip");
    bool right = wrapped.tcb == fw->snp.reported_tcb;
    bool made = right && identity_vlek(stick, wrapped.tcb, &fw->snp.vlek);
    crypto_wipe(stick, sizeof stick);
    RULE_CHECK(c, right, INVALID_PARAM,
               "the hashstick is for TCB 0x%" PRIx64 ", the reported TCB is 0x%" PRIx64,
               wrapped.tcb, fw->snp.reported_tcb);
    RULE_CHECK(c, made, HWERROR_PLATFORM, "the VLEK cannot be derived");
    fw->snp.vlek_loaded = true;
    return SEV_STATUS_SUCCESS;
}

/* --- SNP_DOWNLOAD_FIRMWARE_EX ----------------------------------------------------------------- */

/* The parts of an image's header that are checked here; the rest is for the loader. The layout was
 * taken from the published images. */
#define IMAGE_HEADER_SIZE 0x100u
#define IMAGE_MAGIC_AT    0x10u /* "$PS1" */
#define IMAGE_SVN_AT      0x4cu
#define IMAGE_VERSION_AT  0x60u /* build, minor, major */
#define IMAGE_SIZE_AT     0x6cu
#define IMAGE_MAX         KIB(256)

enum sev_status snp_download_firmware_ex_parameters(struct call *c)
{
    const struct snp_download_firmware_ex *in = &c->in.snp_download;
    RULE_CHECK(c, in->len == sizeof *in, INVALID_LENGTH, "LEN is %u, not %zu", in->len, sizeof *in);
    RULE_CHECK(c, !in->reserved_04 && !(in->flags & ~SNP_DOWNLOAD_COMMIT), INVALID_PARAM,
               "reserved bits are set");
    RULE_CHECK(c, in->fw_len >= IMAGE_HEADER_SIZE && in->fw_len <= IMAGE_MAX, INVALID_LENGTH,
               "an image has 256 bytes to 256 KiB, not %u", in->fw_len);
    return SEV_STATUS_SUCCESS;
}

/* Checks the image but does not run it: this firmware keeps the version of its profile. */
enum sev_status snp_download_firmware_ex(struct call *c)
{
    const struct snp_download_firmware_ex *in = &c->in.snp_download;
    const struct firmware *fw = c->fw;
    const struct firmware_committed *floor = &fw->snp.committed;
    u8 h[IMAGE_HEADER_SIZE];
    enum sev_status status = check_range(c, "image", in->fw_paddr, in->fw_len, PAGE_SIZE);
    if (status == SEV_STATUS_SUCCESS)
        status = read_range(c, "image", in->fw_paddr, h, sizeof h);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    const u8 *v = h + IMAGE_VERSION_AT;
    RULE_CHECK(
        c, !memcmp(h + IMAGE_MAGIC_AT, "$PS1", 4) && load_le32(h + IMAGE_SIZE_AT) == in->fw_len,
        INVALID_PARAM, "the image has no header of SEV firmware, or another length than it says");
    note(c, " image=%u.%u.%u svn=%u", v[2], v[1], v[0], h[IMAGE_SVN_AT]);
    struct snp_tcb tcb = snp_tcb_unpack(fw->profile->tcb_layout, floor->tcb);
    RULE_CHECK(c, h[IMAGE_SVN_AT] >= tcb.snp, BAD_SVN,
               "the image's SVN is %u, the committed TCB's %u", h[IMAGE_SVN_AT], tcb.snp);
    u32 image = (u32)v[2] << 16 | (u32)v[1] << 8 | v[0];
    RULE_CHECK(c, image >= version(floor), BAD_VERSION,
               "the image is older than the committed version %u.%u.%u", floor->major, floor->minor,
               floor->build);
    return in->flags & SNP_DOWNLOAD_COMMIT ? commit_current(c) : SEV_STATUS_SUCCESS;
}

/* --- SNP_VERIFY_MITIGATION -------------------------------------------------------------------- */

enum sev_status snp_verify_mitigation_parameters(struct call *c)
{
    const struct snp_verify_mitigation *in = &c->in.snp_verify_mitigation;
    RULE_CHECK(c, in->len == sizeof *in, INVALID_LENGTH, "LEN is %u, not %zu", in->len, sizeof *in);
    RULE_CHECK(c, in->subcommand <= SNP_MITIGATION_VERIFY, INVALID_PARAM,
               "there is no subcommand %u", in->subcommand);
    RULE_CHECK(c,
               !in->reserved_06 && !in->reserved_14 &&
                   all_zero(in->reserved_28, sizeof in->reserved_28) &&
                   !(in->flags & ~(SNP_MITIGATION_DST_PADDR_EN | SNP_MITIGATION_SRC_PADDR_EN)),
               INVALID_PARAM, "reserved bits are set");
    RULE_CHECK(
        c, in->subcommand == SNP_MITIGATION_STATUS || !(in->vector & ~c->fw->profile->mitigations),
        INVALID_PARAM, "vector 0x%" PRIx64 " has bits beyond the supported 0x%" PRIx64, in->vector,
        c->fw->profile->mitigations);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_verify_mitigation(struct call *c)
{
    const struct snp_verify_mitigation *in = &c->in.snp_verify_mitigation;
    struct snp_platform *s = &c->fw->snp;
    bool answer = in->flags & SNP_MITIGATION_DST_PADDR_EN;
    struct snp_mitigation_result out = {.supported = c->fw->profile->mitigations};
    enum sev_status status = answer ? page_check_answer(c, "result page", in->dst_paddr, sizeof out)
                                    : SEV_STATUS_SUCCESS;
    if (status != SEV_STATUS_SUCCESS)
        return status;
    if (in->subcommand == SNP_MITIGATION_VERIFY)
        s->mitigations |= in->vector;
    out.verified = s->mitigations;
    if (answer)
        page_answer(c, in->dst_paddr, &out, sizeof out);
    return SEV_STATUS_SUCCESS;
}
