/* SPDX-License-Identifier: Apache-2.0 */
/* AML: opcodes, names, package lengths and resource descriptors [ACPI 20.2, 6.4]. */
#include "board/aml.h"

enum {
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_NAME = 0x08,
    AML_BYTE = 0x0a,
    AML_WORD = 0x0b,
    AML_DWORD = 0x0c,
    AML_QWORD = 0x0e,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_EXTENDED = 0x5b,
    AML_EXT_DEVICE = 0x82,
};

/* Begins a package with a length of two bytes (12 bits): 01..nnnn nnnnnnnn, the low four bits in
 * the first byte. */
static size_t aml_length_begin(struct writer *w)
{
    size_t at = w->at;
    write_zeros(w, 2);
    return at;
}

void aml_block_end(struct writer *w, size_t begin)
{
    size_t length = w->at - begin;
    if (w->bad || length > 0xfff) {
        w->bad = true;
        return;
    }
    w->data[begin] = (u8)(0x40 | (length & 0xf));
    w->data[begin + 1] = (u8)(length >> 4);
}

/* Writes a name such as "\\_SB" or "PCI0": an optional root mark and one segment, padded with
 * underscores to four characters. */
static void aml_name_string(struct writer *w, const char *name)
{
    if (*name == '\\')
        write_u8(w, (u8)*name++);
    for (u32 i = 0; i < 4; i++)
        write_u8(w, *name ? (u8)*name++ : '_');
}

size_t aml_scope_begin(struct writer *w, const char *name)
{
    write_u8(w, AML_SCOPE);
    size_t at = aml_length_begin(w);
    aml_name_string(w, name);
    return at;
}

size_t aml_device_begin(struct writer *w, const char *name)
{
    write_u8(w, AML_EXTENDED);
    write_u8(w, AML_EXT_DEVICE);
    size_t at = aml_length_begin(w);
    aml_name_string(w, name);
    return at;
}

size_t aml_package_begin(struct writer *w, u8 elements)
{
    write_u8(w, AML_PACKAGE);
    size_t at = aml_length_begin(w);
    write_u8(w, elements);
    return at;
}

void aml_name(struct writer *w, const char *name)
{
    write_u8(w, AML_NAME);
    aml_name_string(w, name);
}

void aml_integer(struct writer *w, u64 value)
{
    if (value <= 1) {
        write_u8(w, value ? AML_ONE : AML_ZERO);
    } else if (value <= 0xff) {
        write_u8(w, AML_BYTE);
        write_u8(w, (u8)value);
    } else if (value <= 0xffff) {
        write_u8(w, AML_WORD);
        write_u16(w, (u16)value);
    } else if (value <= 0xffffffff) {
        write_u8(w, AML_DWORD);
        write_u32(w, (u32)value);
    } else {
        write_u8(w, AML_QWORD);
        write_u64(w, value);
    }
}

/* Writes an ID of three letters (five bits each) and four hex digits, as a big-endian dword [ACPI
 * 19.3.4]. */
void aml_eisa_id(struct writer *w, const char *id)
{
    u32 letters = (u32)(id[0] - '@') << 10 | (u32)(id[1] - '@') << 5 | (u32)(id[2] - '@');
    write_u8(w, AML_DWORD);
    write_u8(w, (u8)(letters >> 8));
    write_u8(w, (u8)letters);
    write_u8(w, (u8)(hex_digit(id[3]) * 16 + hex_digit(id[4])));
    write_u8(w, (u8)(hex_digit(id[5]) * 16 + hex_digit(id[6])));
}

struct aml_resources aml_resources_begin(struct writer *w)
{
    struct aml_resources r;
    write_u8(w, AML_BUFFER);
    r.block = aml_length_begin(w);
    write_u8(w, AML_WORD);
    r.length = w->at;
    write_u16(w, 0);
    return r;
}

void aml_resources_end(struct writer *w, struct aml_resources r)
{
    write_u8(w, 0x79); /* end tag; checksum 0 means "not checked" */
    write_u8(w, 0);
    if (!w->bad)
        store_le16(w->data + r.length, (u16)(w->at - r.length - 2));
    aml_block_end(w, r.block);
}

void aml_resource_io(struct writer *w, u16 port, u8 count)
{
    write_u8(w, 0x47);
    write_u8(w, 1); /* decodes 16 bits */
    write_u16(w, port);
    write_u16(w, port);
    write_u8(w, 1);
    write_u8(w, count);
}

void aml_resource_irq(struct writer *w, u32 irq)
{
    write_u8(w, 0x22);
    write_u16(w, (u16)(1u << irq));
}

/* Writes a word address space: type, flags (producer, fixed ends), type flags, granularity, first,
 * last, offset, length. */
static void aml_word_space(struct writer *w, u8 type, u8 type_flags, u16 first, u16 last)
{
    write_u8(w, 0x88);
    write_u16(w, 13);
    write_u8(w, type);
    write_u8(w, 0x0c);
    write_u8(w, type_flags);
    write_u16(w, 0);
    write_u16(w, first);
    write_u16(w, last);
    write_u16(w, 0);
    write_u16(w, (u16)(last - first + 1));
}

void aml_resource_bus_numbers(struct writer *w, u16 first, u16 last)
{
    aml_word_space(w, 2, 0, first, last);
}

void aml_resource_io_window(struct writer *w, u16 first, u16 last)
{
    aml_word_space(w, 1, 3, first, last);
}

void aml_resource_memory_window(struct writer *w, u32 first, u32 last)
{
    write_u8(w, 0x87);
    write_u16(w, 23);
    write_u8(w, 0);
    write_u8(w, 0x0c);
    write_u8(w, 1); /* read-write, not cacheable */
    write_u32(w, 0);
    write_u32(w, first);
    write_u32(w, last);
    write_u32(w, 0);
    write_u32(w, last - first + 1);
}

/* Writes a quadword address space: as above, with 64-bit fields, prefetchable. */
void aml_resource_wide_memory_window(struct writer *w, u64 first, u64 last)
{
    write_u8(w, 0x8a);
    write_u16(w, 43);
    write_u8(w, 0);
    write_u8(w, 0x0c);
    write_u8(w, 7); /* read-write, prefetchable */
    write_u64(w, 0);
    write_u64(w, first);
    write_u64(w, last);
    write_u64(w, 0);
    write_u64(w, last - first + 1);
}
