/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image of a guest that need not do anything: one page that ends at 4 GiB, with a reset vector,
 * metadata and the footer table that the calculators of launch digests read [snp 5.7].
 */
#include "base/bytes.h"
#include "cli/guest/guest_file.h"

#define METADATA    0x100u
#define RESET       0xff0u                  /* FFFFFFF0h */
#define FOOTER_GUID (PAGE_SIZE - 48)        /* the table is read downwards from here */
#define TABLE_SIZE  (18u + 2u * (4u + 18u)) /* its own entry, and two with four bytes each */
#define TABLE       (FOOTER_GUID + 16 - TABLE_SIZE)
#define AT_MEMORY   0x1000u

struct section {
    u32 gpa, size, type;
};

static void entry(struct writer *w, u32 value, const char *guid)
{
    u8 bytes[16];
    hex_decode(bytes, sizeof bytes, guid);
    write_u32(w, value);
    write_u16(w, 4 + 18);
    write_bytes(w, bytes, sizeof bytes);
}

void guest_file_payload(u8 out[PAGE_SIZE])
{
    static const char text[] = "softsev: a guest that halts";
    static const u8 halt[] = {0xf4, 0xeb, 0xfd}; /* hlt; jmp to it */
    static const struct section sections[] = {
        {AT_MEMORY, PAGE_SIZE, 1},                 /* zeros */
        {AT_MEMORY + PAGE_SIZE, PAGE_SIZE, 2},     /* secrets */
        {AT_MEMORY + 2 * PAGE_SIZE, PAGE_SIZE, 3}, /* CPUID */
    };
    u8 footer[16];
    memset(out, 0, PAGE_SIZE);
    memcpy(out, text, sizeof text);
    memcpy(out + RESET, halt, sizeof halt);
    struct writer w = writer_of(out + METADATA, TABLE - METADATA);
    write_bytes(&w, "ASEV", 4);
    write_u32(&w, (u32)(16 + sizeof sections));
    write_u32(&w, 1); /* version */
    write_u32(&w, ARRAY_SIZE(sections));
    write_bytes(&w, sections, sizeof sections);
    w = writer_of(out + TABLE, TABLE_SIZE);
    entry(&w, 0xfffffff0u, "de71f7007e1acb4f890e68c77e2fb44e"); /* where other processors begin */
    entry(&w, PAGE_SIZE - METADATA,
          "666588dc4a989847a75e5585a7bf67cc"); /* metadata, from the end */
    write_u16(&w, TABLE_SIZE);
    hex_decode(footer, sizeof footer, "de82b596b21ff745baeaa366c55a082d");
    write_bytes(&w, footer, sizeof footer);
}
