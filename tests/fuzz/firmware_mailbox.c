/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that sends any commands in any order: the input is a script of records. The firmware
 * asserts what must hold after each command; here it must also have told why whenever it refused.
 *
 *   FFh              WBINVD on every core
 *   FEh a32 n8       n bytes follow, written at address a where the host may write
 *   FDh a32 s8       RMPUPDATE of the page at a: s has assigned, immutable, ASID; gPA is a
 *   FCh a32 n8       the IOMMU's registers name n pages from address a on
 *   id               the command's buffer follows
 *
 * The firmware is one of SNP, with an RMP at the end of memory.
 */
#include "firmware/internal.h"

#include "base/bytes.h"
#include "key_store.h"
#include "memory/rmp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define MEMORY_SIZE MIB(4)
#define AT_BUFFER   0x1000u
#define CORES       2u
#define COMMANDS    64u /* of one script */

#define OP_WBINVD 0xff
#define OP_POKE   0xfe
#define OP_RMP    0xfd
#define OP_IOMMU  0xfc

#define RMP_BASE (MEMORY_SIZE - MIB(1))

static struct crypto *crypto; /* made once: OpenSSL's contexts take long, too */

static void poke(struct memory *m, struct reader *r)
{
    u32 address = read_u32(r);
    u8 size = read_u8(r);
    const u8 *bytes = read_view(r, size);
    if (bytes && rmp_host_may_write(m, address % MEMORY_SIZE, size))
        memory_write(m, address % MEMORY_SIZE, KEY_RAW, bytes, size);
}

/* What RMPUPDATE lets a host do: any page that is not immutable or the table's own. */
static void update_rmp(struct memory *m, struct reader *r)
{
    u64 spa = ALIGN_DOWN(read_u32(r) % MEMORY_SIZE, PAGE_SIZE);
    u8 state = read_u8(r);
    struct rmp_entry old, entry = {
                              .assigned = state & 1,
                              .immutable = state & 2,
                              .asid = (state >> 2) % 16,
                              .gpa = state & 0x80 ? 0 : spa,
                          };
    if (!rmp_get(m, spa, &old))
        return;
    entry.validated = old.validated && entry.immutable && entry.asid == old.asid; /* Pre-Swap */
    if (!old.immutable && !rmp_is_table(m, spa, PAGE_SIZE))
        rmp_set(m, spa, &entry);
}

static struct firmware_iommu_buffer iommu_buffer;

static u32 read_iommu(void *context, struct firmware_iommu_buffer out[FIRMWARE_IOMMU_BUFFERS])
{
    (void)context;
    out[0] = iommu_buffer;
    return iommu_buffer.size ? 1 : 0;
}

/* What the firmware holds for the IOMMU can be nothing else. */
static void check_iommu_pages(const struct firmware *fw, struct memory *m)
{
    for (u64 spa = 0; spa < MEMORY_SIZE && fw->iommu_pages.count; spa += PAGE_SIZE)
        if (firmware_iommu_may_write(fw, spa, PAGE_SIZE) && rmp_state(m, spa) != RMP_FIRMWARE)
            abort();
}

static void run_command(struct firmware *fw, struct memory *m, u8 id, struct reader *r)
{
    const struct command *command = command_find(id);
    u8 buffer[0x44];
    size_t size = command ? command->size : 0;
    read_bytes(r, buffer, size);
    memory_write(m, AT_BUFFER, KEY_RAW, buffer, size);
    u32 status = firmware_mailbox(fw, id, AT_BUFFER);
    if ((status == SEV_STATUS_SUCCESS) != (firmware_rule(fw)[0] == 0) || !firmware_sound(fw))
        abort();
    check_iommu_pages(fw, m);
}

static void run_script(struct firmware *fw, struct memory *m, struct reader *r)
{
    for (unsigned i = 0; i < COMMANDS && reader_left(r); i++) {
        u8 op = read_u8(r);
        if (op == OP_POKE)
            poke(m, r);
        else if (op == OP_RMP)
            update_rmp(m, r);
        else if (op == OP_IOMMU)
            iommu_buffer = (struct firmware_iommu_buffer){
                "log", ALIGN_DOWN((u64)read_u32(r), PAGE_SIZE), (u64)read_u8(r) * PAGE_SIZE};
        else if (op != OP_WBINVD)
            run_command(fw, m, op, r);
        for (u32 core = 0; op == OP_WBINVD && core < CORES; core++)
            firmware_wbinvd(fw, core);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (!crypto)
        crypto = crypto_create("fuzz", 4);
    struct random_source random = crypto_random_source(crypto);
    struct memory *m =
        memory_create(&(struct memory_config){.size = MEMORY_SIZE, .asids = 15, .random = &random});
    struct firmware *fw =
        firmware_create(&(struct firmware_config){.memory = m,
                                                  .crypto = crypto,
                                                  .store = first_keys,
                                                  .fuses = {1},
                                                  .c_bit = BIT(51),
                                                  .asid_min = 5,
                                                  .asid_max = 15,
                                                  .profile = firmware_profile_find("milan-1.58"),
                                                  .rmp_base = RMP_BASE,
                                                  .rmp_end = MEMORY_SIZE - 1,
                                                  .cores = CORES});
    if (!fw)
        abort();
    iommu_buffer.size = 0;
    firmware_connect_iommu(fw, &(struct firmware_iommu){.buffers = read_iommu});
    struct reader r = reader_of(data, size);
    run_script(fw, m, &r);
    firmware_destroy(fw);
    memory_destroy(m);
    return 0;
}
