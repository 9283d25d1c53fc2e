/* SPDX-License-Identifier: Apache-2.0 */
/* A small writer of ACPI Machine Language: the objects that the board's DSDT needs [ACPI 20.2]. */
#ifndef SOFTSEV_BOARD_AML_H
#define SOFTSEV_BOARD_AML_H

#include "base/bytes.h"

/* Each *_begin returns the offset of its length field; *_end fills it in (blocks below 4 KiB). */
size_t aml_scope_begin(struct writer *w, const char *name);
size_t aml_device_begin(struct writer *w, const char *name);
void aml_block_end(struct writer *w, size_t begin);
size_t aml_package_begin(struct writer *w, u8 elements);

void aml_name(struct writer *w, const char *name); /* Name(name, <the next object>) */
void aml_integer(struct writer *w, u64 value);
void aml_eisa_id(struct writer *w, const char *id); /* "PNP0A03" */

/* Resource descriptors between aml_resources_begin and _end form one Buffer [ACPI 6.4]. */
struct aml_resources {
    size_t block, length;
};
struct aml_resources aml_resources_begin(struct writer *w);
void aml_resources_end(struct writer *w, struct aml_resources r);
void aml_resource_io(struct writer *w, u16 port, u8 count);
void aml_resource_irq(struct writer *w, u32 irq);
void aml_resource_bus_numbers(struct writer *w, u16 first, u16 last);
void aml_resource_io_window(struct writer *w, u16 first, u16 last);
void aml_resource_memory_window(struct writer *w, u32 first, u32 last);
void aml_resource_wide_memory_window(struct writer *w, u64 first, u64 last);

#endif
