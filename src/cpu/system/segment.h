/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors, and stacks that are not in use yet; shared by segment.c, far.c, event.c and task.c.
 */
#ifndef SOFTSEV_CPU_SYSTEM_SEGMENT_H
#define SOFTSEV_CPU_SYSTEM_SEGMENT_H

#include "cpu/internal.h"

/* A descriptor and where it was read; `raw` holds the first eight bytes. */
struct descriptor {
    u64 raw, linear;
    u16 selector;
};

/* System descriptor types [APM2 4.7.1]; in long mode the types of 32-bit segments mean 64-bit
 * ones. */
enum system_type {
    SYSTEM_TSS16 = 1,
    SYSTEM_LDT = 2,
    SYSTEM_TSS16_BUSY = 3,
    SYSTEM_CALL16 = 4,
    SYSTEM_TASK = 5,
    SYSTEM_INTERRUPT16 = 6,
    SYSTEM_TRAP16 = 7,
    SYSTEM_TSS = 9,
    SYSTEM_TSS_BUSY = 11,
    SYSTEM_CALL = 12,
    SYSTEM_INTERRUPT = 14,
    SYSTEM_TRAP = 15,
};

#define SELECTOR_TI  BIT(2)
#define SELECTOR_RPL 3u

#define RAW_TYPE(raw)    BITS(raw, 43, 40)
#define RAW_SYSTEM(raw)  (!((raw)&BIT(44)))
#define RAW_DPL(raw)     ((u32)BITS(raw, 46, 45))
#define RAW_PRESENT(raw) ((raw)&BIT(47))
#define RAW_BUSY         BIT(41) /* of a TSS type */

static inline bool selector_null(u16 selector)
{
    return !(selector & ~SELECTOR_RPL);
}

static inline u32 selector_error(u16 selector)
{
    return selector & ~SELECTOR_RPL;
}

static inline bool long_mode(const struct cpu *c)
{
    return c->arch.efer & EFER_LMA;
}

static inline bool protected_mode(const struct cpu *c)
{
    return (c->engine.mode & (MODE_PE | MODE_V86)) == MODE_PE;
}

/* Conforming code runs at the caller's privilege. */
#define RAW_CONFORMING(raw) ((raw)&BIT(42))

/* Finds a descriptor. Returns false if the selector is outside its table. */
bool descriptor_find(struct cpu *c, u16 selector, struct descriptor *d);
/* Finds a descriptor, or raises `vector` with the selector (and `ext`) as the error code. */
struct descriptor descriptor_get(struct cpu *c, u16 selector, u8 vector, u32 ext);
/* Returns the upper half of a 16-byte descriptor or gate of long mode; its type field must be 0. */
u64 descriptor_upper(struct cpu *c, const struct descriptor *d);
void descriptor_touch(struct cpu *c, const struct descriptor *d); /* sets A if it is clear */
struct segment segment_of(const struct descriptor *d);
struct segment segment_real(const struct segment *old, u16 selector);

/* Checks a code segment as a target: #GP if it is not code, or if L and D are both set in long
 * mode; then #NP. */
void code_check(struct cpu *c, const struct descriptor *d, u32 ext);
void code_check_present(struct cpu *c, const struct descriptor *d, u32 ext);
void code_load(struct cpu *c, const struct descriptor *d, u32 cpl);
void code_load_real(struct cpu *c, u16 selector);
/* Raises #GP(0) if the segment `d` does not allow execution at the offset. */
void code_check_offset(struct cpu *c, const struct descriptor *d, u64 offset);

/* Returns SS for privilege `cpl`; raises `vector` (#TS or #GP) or #SS. */
struct segment stack_segment_check(struct cpu *c, u16 selector, u32 cpl, u8 vector, u32 ext);
struct segment stack_segment_null(u32 cpl);
/* Returns DS, ES, FS or GS for the current privilege; raises `vector` (#TS or #GP) or #NP. */
struct segment data_segment_check(struct cpu *c, u16 selector, u8 vector, u32 ext);

/* A stack that is pushed to before it is in use. Its room is probed first, so that no push fails
 * halfway. */
struct stack {
    struct segment ss;
    u64 sp;
    bool flat;   /* 64-bit: no limit, whole RSP */
    bool system; /* written as supervisor at any CPL */
    u32 error;   /* of #SS */
};

struct stack stack_current(const struct cpu *c);
/* Returns the stack of an inner privilege from the TSS. */
struct stack stack_inner(struct cpu *c, u32 cpl, u32 ext);
void stack_room(struct cpu *c, const struct stack *s, u32 bytes);
void stack_put(struct cpu *c, struct stack *s, u64 value, u32 size);
void stack_enter(struct cpu *c, const struct stack *s); /* loads SS and RSP */

/* Truncates a new RIP to operand size 2, 4 or 8. */
static inline u64 truncate(u64 value, u32 size)
{
    return size >= 8 ? value : value & (BIT(size * 8) - 1);
}

enum task_switch_source { TASK_CALL, TASK_JMP, TASK_IRET, TASK_GATE };

/* The event that goes through a task gate. */
struct task_event {
    u32 ext;    /* EXT bit of error codes */
    bool fault; /* sets RF in the old task's flags */
    bool has_error;
    u32 error;
    u64 return_rip;
};

/* Switches to the task whose TSS the selector names; exits if the host intercepts task switches.
 * `event` is NULL for an instruction. */
void task_switch(struct cpu *c, u16 selector, enum task_switch_source source,
                 const struct task_event *event);
/* Does an IRET with NT set: returns to the task that the current TSS links to. */
void task_return(struct cpu *c);

/* Makes segments null that the outer privilege may not access, after a return to it. */
void segments_hide(struct cpu *c);

#endif
