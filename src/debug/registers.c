/* SPDX-License-Identifier: Apache-2.0 */
/* The target description: GDB numbers registers in the order of this table. GDB itself defines the
 * features org.gnu.gdb.i386; the last one is softsev's own, and GDB shows it as it is described. */
#include <stdarg.h>
#include <stdio.h>

#include "debug/internal.h"

struct group {
    const char *feature; /* NULL: the feature of the group before */
    const char *names;
    const char *type;
    u32 bytes, count, offset;
};

#define MEMBER(member) (u32) offsetof(struct gdb_registers, member)

// clang-format off
static const struct group groups[] = {
    {"org.gnu.gdb.i386.core", "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15",
     "int64", 8, 16, MEMBER(gpr)},
    {NULL, "rip", "code_ptr", 8, 1, MEMBER(rip)},
    {NULL, "eflags", "i386_eflags", 4, 1, MEMBER(eflags)},
    {NULL, "cs ss ds es fs gs", "int32", 4, 6, MEMBER(segment)},
    {NULL, "st0 st1 st2 st3 st4 st5 st6 st7", "i387_ext", 10, 8, MEMBER(st)},
    {NULL, "fctrl fstat ftag fiseg fioff foseg fooff fop", "int", 4, 8, MEMBER(x87)},
    {"org.gnu.gdb.i386.sse",
     "xmm0 xmm1 xmm2 xmm3 xmm4 xmm5 xmm6 xmm7 xmm8 xmm9 xmm10 xmm11 xmm12 xmm13 xmm14 xmm15",
     "vec128", 16, 16, MEMBER(xmm)},
    {NULL, "mxcsr", "int", 4, 1, MEMBER(mxcsr)},
    {"org.gnu.gdb.i386.segments", "fs_base gs_base", "int", 8, 2, MEMBER(segment_base)},
    {"org.softsev.system",
     "k_gs_base cr0 cr2 cr3 cr4 cr8 efer gdt_base gdt_limit idt_base idt_limit tr_base cpl star "
     "lstar cstar sfmask pat",
     "int64", 8, GDB_SYSTEM, MEMBER(system)},
};
// clang-format on

/* Types that a feature's registers have and GDB does not know by itself. */
static const char core_types[] =
    "<flags id=\"i386_eflags\" size=\"4\"><field name=\"\" start=\"22\" end=\"31\"/>"
    "<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"\" start=\"1\" end=\"1\"/>"
    "<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
    "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
    "<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
    "<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
    "<field name=\"NT\" start=\"14\" end=\"14\"/><field name=\"RF\" start=\"16\" end=\"16\"/>"
    "<field name=\"VM\" start=\"17\" end=\"17\"/><field name=\"AC\" start=\"18\" end=\"18\"/>"
    "<field name=\"VIF\" start=\"19\" end=\"19\"/><field name=\"VIP\" start=\"20\" end=\"20\"/>"
    "<field name=\"ID\" start=\"21\" end=\"21\"/></flags>";
static const char sse_types[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
    "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
    "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
    "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
    "<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
    "<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
    "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/></union>";

bool register_find(u32 number, struct register_place *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        const struct group *g = &groups[i];
        if (number < g->count) {
            *out = (struct register_place){g->offset + number * g->bytes, g->bytes};
            return true;
        }
        number -= g->count;
    }
    return false;
}

/* --- The description -------------------------------------------------------------------------- */

struct xml {
    char *out;
    size_t size, at;
};

static void PRINTF_LIKE(2, 3) xml_put(struct xml *x, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = x->at < x->size ? vsnprintf(x->out + x->at, x->size - x->at, format, arguments) : 0;
    va_end(arguments);
    x->at = min_u64(x->at + (n > 0 ? (size_t)n : 0), x->size);
}

static void xml_group(struct xml *x, const struct group *g)
{
    const char *name = g->names;
    for (u32 i = 0; i < g->count; i++) {
        const int length = (int)strcspn(name, " ");
        xml_put(x, "<reg name=\"%.*s\" bitsize=\"%u\" type=\"%s\"%s/>", length, name, 8 * g->bytes,
                g->type,
                !strcmp(g->type, "int64") && g->count == GDB_SYSTEM ? " group=\"system\"" : "");
        name += length + 1;
    }
}

size_t target_xml(char *out, size_t size)
{
    struct xml x = {out, size, 0};
    xml_put(&x, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
                "<architecture>i386:x86-64</architecture>");
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        const struct group *g = &groups[i];
        if (g->feature)
            xml_put(&x, "%s<feature name=\"%s\">%s", i ? "</feature>" : "", g->feature,
                    i == 0                      ? core_types
                    : strstr(g->feature, "sse") ? sse_types
                                                : "");
        xml_group(&x, g);
    }
    xml_put(&x, "</feature></target>");
    return x.at;
}
