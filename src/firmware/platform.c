/* SPDX-License-Identifier: Apache-2.0 */
/* The platform commands, INIT to NOP [sev 4.3]. */
#include "firmware/internal.h"

/* --- INIT, INIT_EX, SHUTDOWN, PLATFORM_RESET -------------------------------------------------- */

/* Fills the TMR with zeros under a key: in the firmware's view while it is in use, raw when the
 * host gets it back. */
static void fill_tmr(struct firmware *fw, memory_key key)
{
    static const u8 zeros[PAGE_SIZE];
    for (u64 at = 0; at < fw->tmr_size; at += PAGE_SIZE)
        memory_write(fw->memory, fw->tmr_base + at, key, zeros, sizeof zeros);
}

static enum sev_status check_tmr(struct call *c, u32 options, u64 paddr, u32 len)
{
    if (!(options & SEV_OPTIONS_ES))
        return SEV_STATUS_SUCCESS;
    if (len < SEV_TMR_SIZE)
        return refuse(c, SEV_STATUS_INVALID_LENGTH,
                      "SEV-ES needs a TMR of 1 MiB, this one has %u bytes", len);
    if (c->fw->snp.state == SNP_PSTATE_UNINIT)
        return check_range(c, "TMR", paddr, SEV_TMR_SIZE, (u32)SEV_TMR_SIZE);
    /* Under SNP the TMR is a large page's worth of Firmware pages [snp 2.2]. */
    if (len < RMP_LARGE_SIZE)
        return refuse(c, SEV_STATUS_INVALID_LENGTH,
                      "under SNP the TMR has 2 MiB, this one has %u bytes", len);
    return check_output(c, "TMR", paddr, RMP_LARGE_SIZE, (u32)RMP_LARGE_SIZE);
}

/* Checks the store's area, which belongs to the host: under SNP its page state may have changed
 * since INIT_EX. */
static enum sev_status check_store_area(struct call *c)
{
    return c->fw->nv_area ? check_output(c, "store area", c->fw->nv_paddr, SEV_NV_SIZE, PAGE_SIZE)
                          : SEV_STATUS_SUCCESS;
}

/* Refuses a damaged store. A store in flash is kept until PLATFORM_RESET. A store in the host's
 * area is discarded: Linux tries once more and expects the area to be empty then [sev 4.3]. */
static enum sev_status refuse_damaged(struct call *c)
{
    if (!c->fw->nv_area)
        return refuse(c, SEV_STATUS_SECURE_DATA_INVALID, "the store fails its integrity check");
    store_delete(c->fw);
    return refuse(c, SEV_STATUS_SECURE_DATA_INVALID,
                  "the store fails its integrity check and is discarded");
}

static enum sev_status load_identity(struct call *c)
{
    struct firmware *fw = c->fw;
    struct identity id = {.present = false};
    enum sev_status status = SEV_STATUS_SUCCESS;
    switch (store_load(fw, &id)) {
    case FIRMWARE_STORE_LOADED:
        note(c, " store=loaded");
        break;
    case FIRMWARE_STORE_ABSENT:
        note(c, " store=new");
        if (!identity_make(fw, &id) || !store_save(fw, &id))
            status = refuse(c, SEV_STATUS_HWERROR_PLATFORM, "the store cannot be written");
        break;
    case FIRMWARE_STORE_UNREADABLE:
        status = refuse(c, SEV_STATUS_HWERROR_PLATFORM, "the store cannot be read");
        break;
    case FIRMWARE_STORE_NO_MEMORY:
        status = refuse(c, SEV_STATUS_HWERROR_PLATFORM, "no memory to load the store");
        break;
    case FIRMWARE_STORE_DAMAGED:
        status = refuse_damaged(c);
    }
    if (status == SEV_STATUS_SUCCESS)
        fw->identity = id;
    crypto_wipe(&id, sizeof id);
    return status;
}

static enum sev_status init_platform(struct call *c, u32 options, u64 tmr_paddr)
{
    struct firmware *fw = c->fw;
    enum sev_status status = load_identity(c);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    fw->options = options & SEV_OPTIONS_ES;
    if (fw->options) {
        fw->tmr_base = real_address(fw, tmr_paddr);
        fw->tmr_size = fw->snp.state == SNP_PSTATE_UNINIT ? SEV_TMR_SIZE : RMP_LARGE_SIZE;
        fill_tmr(fw, KEY_FIRMWARE);
    }
    asids_mark_dirty(fw);
    note(c, " owner=%s es=%u", fw->identity.owned ? "external" : "self", fw->options);
    set_pstate(c, SEV_PSTATE_INIT);
    return SEV_STATUS_SUCCESS;
}

enum sev_status init_lengths(struct call *c)
{
    const struct sev_init *in = &c->in.init;
    return check_tmr(c, in->options, in->tmr_paddr, in->tmr_len);
}

enum sev_status init(struct call *c)
{
    c->fw->nv_area = false;
    return init_platform(c, c->in.init.options, c->in.init.tmr_paddr);
}

enum sev_status init_ex_lengths(struct call *c)
{
    const struct sev_init_ex *in = &c->in.init_ex;
    if (in->length != sizeof *in)
        return refuse(c, SEV_STATUS_INVALID_LENGTH, "the structure says %u bytes, not %zu",
                      in->length, sizeof *in);
    if (in->nv_len < SEV_NV_SIZE)
        return refuse(c, SEV_STATUS_INVALID_LENGTH,
                      "the store's area needs 32 KiB and has %u bytes", in->nv_len);
    return check_tmr(c, in->options, in->tmr_paddr, in->tmr_len);
}

enum sev_status init_ex(struct call *c)
{
    const struct sev_init_ex *in = &c->in.init_ex;
    u64 tmr_size = c->fw->snp.state == SNP_PSTATE_UNINIT ? SEV_TMR_SIZE : RMP_LARGE_SIZE;
    u64 tmr = real_address(c->fw, in->tmr_paddr), nv = real_address(c->fw, in->nv_paddr);
    enum sev_status status = check_output(c, "store area", in->nv_paddr, SEV_NV_SIZE, PAGE_SIZE);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    if ((in->options & SEV_OPTIONS_ES) && nv < tmr + tmr_size && tmr < nv + SEV_NV_SIZE)
        return refuse(c, SEV_STATUS_INVALID_ADDRESS, "TMR and store area overlap");
    c->fw->nv_area = true;
    c->fw->nv_paddr = nv;
    return init_platform(c, in->options, in->tmr_paddr);
}

enum sev_status shutdown_platform(struct call *c)
{
    struct firmware *fw = c->fw;
    guests_erase_all(fw);
    fill_tmr(fw, KEY_RAW);
    fw->tmr_size = 0;
    fw->options = 0;
    crypto_wipe(&fw->identity, sizeof fw->identity);
    set_pstate(c, SEV_PSTATE_UNINIT);
    return SEV_STATUS_SUCCESS;
}

/* Deletes the store. The area of the last INIT_EX still counts: Linux shuts down before it resets,
 * and then writes the area to its file. */
enum sev_status platform_reset(struct call *c)
{
    enum sev_status status = check_store_area(c);
    if (status == SEV_STATUS_SUCCESS && !store_delete_all(c->fw))
        status = refuse(c, SEV_STATUS_HWERROR_PLATFORM, "the store cannot be deleted");
    return status;
}

/* --- PLATFORM_STATUS, GET_ID, DOWNLOAD_FIRMWARE ------------------------------------------------
 * / */

enum sev_status platform_status(struct call *c)
{
    const struct firmware *fw = c->fw;
    c->in.platform_status = (struct sev_platform_status){
        .api_major = fw->profile->api_major,
        .api_minor = fw->profile->api_minor,
        .build = fw->profile->build,
        .state = (u8)fw->state,
        .owner = fw->identity.owned ? SEV_PLATFORM_OWNED : 0,
        .config = (u8)fw->options,
        .guest_count = guest_count(fw),
    };
    note(c, " state=%s api=%u.%u build=%u guests=%u", sev_pstate_name(fw->state),
         fw->profile->api_major, fw->profile->api_minor, fw->profile->build,
         c->in.platform_status.guest_count);
    return SEV_STATUS_SUCCESS;
}

static enum sev_status output_lengths(struct call *c, u32 need)
{
    u32 have = c->in.buffer.len;
    if (length_suffices(&have, need))
        return SEV_STATUS_SUCCESS;
    c->in.buffer.len = have;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "the answer has %u bytes", need);
}

/* Returns 8 bytes for Turin, 64 bytes for all other parts. */
static u32 chip_id_size(const struct firmware *fw)
{
    return fw->profile->chip_id_size ? fw->profile->chip_id_size : SEV_CHIP_ID_SIZE;
}

enum sev_status get_id_lengths(struct call *c)
{
    return output_lengths(c, chip_id_size(c->fw));
}

enum sev_status get_id(struct call *c)
{
    c->in.buffer.len = chip_id_size(c->fw);
    return write_range(c, "chip id", c->in.buffer.paddr, c->fw->chip_id, chip_id_size(c->fw));
}

enum sev_status nop(struct call *c)
{
    (void)c;
    return SEV_STATUS_SUCCESS;
}

enum sev_status download_firmware_lengths(struct call *c)
{
    u32 len = c->in.buffer.len, max = c->fw->profile->report_version ? KIB(128) : KIB(64);
    if (len && len <= max)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "an image has 1 to %u bytes, not %u", max, len);
}

/* Accepts the image and ignores it: the version stays the same [sev 4.3]. */
enum sev_status download_firmware(struct call *c)
{
    return check_range(c, "image", c->in.buffer.paddr, c->in.buffer.len, 32);
}

/* --- Keys and certificates -------------------------------------------------------------------- */

/* Saves `next` in the store before using it: if the process is killed in between, the old identity
 * stays valid. */
static enum sev_status commit_identity(struct call *c, bool made, struct identity *next)
{
    enum sev_status status = check_store_area(c);
    if (status == SEV_STATUS_SUCCESS && (!made || !store_save(c->fw, next)))
        status = refuse(c, SEV_STATUS_HWERROR_PLATFORM, "the new keys cannot be made or kept");
    if (status == SEV_STATUS_SUCCESS)
        c->fw->identity = *next;
    crypto_wipe(next, sizeof *next);
    return status;
}

enum sev_status pek_gen(struct call *c)
{
    struct identity next;
    bool made = identity_make(c->fw, &next);
    return commit_identity(c, made, &next);
}

enum sev_status pdh_gen(struct call *c)
{
    struct identity next = c->fw->identity;
    bool made = identity_make_pdh(c->fw, &next);
    return commit_identity(c, made, &next);
}

enum sev_status pek_csr_lengths(struct call *c)
{
    return output_lengths(c, SEV_CERT_SIZE);
}

enum sev_status pek_csr(struct call *c)
{
    struct sev_cert csr = c->fw->identity.pek;
    sev_cert_clear_slot(&csr, 0);
    sev_cert_clear_slot(&csr, 1);
    c->in.buffer.len = sizeof csr;
    return write_range(c, "PEK", c->in.buffer.paddr, &csr, sizeof csr);
}

enum sev_status pdh_cert_export_lengths(struct call *c)
{
    u32 pdh = c->in.pdh_cert_export.pdh_len, chain = c->in.pdh_cert_export.chain_len;
    if (pdh >= SEV_CERT_SIZE && chain >= SEV_CERT_CHAIN_SIZE)
        return SEV_STATUS_SUCCESS;
    c->in.pdh_cert_export.pdh_len = SEV_CERT_SIZE;
    c->in.pdh_cert_export.chain_len = SEV_CERT_CHAIN_SIZE;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "PDH and chain have %u and %u bytes", SEV_CERT_SIZE,
                  SEV_CERT_CHAIN_SIZE);
}

enum sev_status pdh_cert_export(struct call *c)
{
    struct firmware *fw = c->fw;
    struct sev_pdh_cert_export *in = &c->in.pdh_cert_export;
    struct sev_cert_chain chain = {
        .pek = fw->identity.pek, .oca = fw->identity.oca, .cek = fw->cek};
    enum sev_status status = check_output(c, "PDH", in->pdh_paddr, SEV_CERT_SIZE, 1);
    if (status == SEV_STATUS_SUCCESS)
        status = write_range(c, "chain", in->chain_paddr, &chain, sizeof chain);
    if (status == SEV_STATUS_SUCCESS)
        status = write_range(c, "PDH", in->pdh_paddr, &fw->identity.pdh, sizeof fw->identity.pdh);
    in->pdh_len = SEV_CERT_SIZE;
    in->chain_len = SEV_CERT_CHAIN_SIZE;
    return status;
}

/* --- PEK_CERT_IMPORT -------------------------------------------------------------------------- */

enum sev_status pek_cert_import_parameters(struct call *c)
{
    if (!c->fw->identity.owned)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_ALREADY_OWNED,
                  "the platform has an external owner; PEK_GEN or PLATFORM_RESET ends that");
}

enum sev_status pek_cert_import_lengths(struct call *c)
{
    const struct sev_pek_cert_import *in = &c->in.pek_cert_import;
    if (in->pek_len == SEV_CERT_SIZE && in->oca_len == SEV_CERT_SIZE)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "PEK and OCA have %u bytes each, not %u and %u",
                  SEV_CERT_SIZE, in->pek_len, in->oca_len);
}

static enum sev_status check_form(struct call *c, const struct sev_cert *cert, enum sev_usage usage,
                                  const char *name)
{
    enum cert_check check = sev_cert_check(cert, usage);
    if (check == CERT_OK)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_CERTIFICATE, "%s: %s", name, cert_check_text(check));
}

/* Returns the PEK's signature slot that the OCA has signed; NULL if it signed neither. */
static const struct sev_cert_signature *find_oca_signature(const struct sev_cert *pek,
                                                           const struct sev_cert *oca)
{
    for (unsigned slot = 0; slot < 2; slot++) {
        struct sev_cert only = *pek;
        sev_cert_clear_slot(&only, 1 - slot);
        if (sev_cert_verify(&only, oca) == CERT_OK)
            return &pek->signatures[slot];
    }
    return NULL;
}

static enum sev_status check_import(struct call *c, const struct sev_cert *pek,
                                    const struct sev_cert *oca)
{
    enum sev_status status = check_form(c, pek, SEV_USAGE_PEK, "PEK");
    if (status == SEV_STATUS_SUCCESS)
        status = check_form(c, oca, SEV_USAGE_OCA, "OCA");
    if (status != SEV_STATUS_SUCCESS)
        return status;
    if (memcmp(pek, &c->fw->identity.pek, SEV_CERT_SIGNED_SIZE))
        return refuse(c, SEV_STATUS_INVALID_CERTIFICATE,
                      "the PEK is not the platform's: key or header differ from PEK_CSR's");
    if (!find_oca_signature(pek, oca))
        return refuse(c, SEV_STATUS_BAD_SIGNATURE, "the PEK is not signed by the OCA");
    enum cert_check check = sev_cert_verify(oca, oca);
    if (check != CERT_OK)
        return refuse(c, SEV_STATUS_BAD_SIGNATURE, "the OCA is not signed by itself: %s",
                      cert_check_text(check));
    return SEV_STATUS_SUCCESS;
}

enum sev_status pek_cert_import(struct call *c)
{
    const struct sev_pek_cert_import *in = &c->in.pek_cert_import;
    struct sev_cert pek, oca;
    enum sev_status status = read_range(c, "PEK", in->pek_paddr, &pek, sizeof pek);
    if (status == SEV_STATUS_SUCCESS)
        status = read_range(c, "OCA", in->oca_paddr, &oca, sizeof oca);
    if (status == SEV_STATUS_SUCCESS)
        status = check_import(c, &pek, &oca);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    struct identity next = c->fw->identity;
    bool made = identity_take_owner(c->fw, &next, &oca, find_oca_signature(&pek, &oca));
    return commit_identity(c, made, &next);
}
