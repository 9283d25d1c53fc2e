/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub's side of GDB's remote serial protocol: packets, commands and the target description of
 * an x86-64 processor. It knows neither machine nor socket: bytes come in by gdb_feed(), everything
 * else goes through struct gdb_target. Every byte that comes in is untrusted.
 */
#ifndef SOFTSEV_DEBUG_GDB_H
#define SOFTSEV_DEBUG_GDB_H

#include "base/base.h"

#define GDB_PACKET_MAX  0x4000u /* characters between `$` and `#`, in either direction */
#define GDB_THREADS_MAX 64u
#define GDB_SYSTEM      18u /* system registers, see src/debug/registers.c */

/* A processor's registers in the order of the target description. */
struct gdb_registers {
    u64 gpr[16]; /* RAX RBX RCX RDX RSI RDI RBP RSP R8 ... R15 */
    u64 rip;
    u32 eflags;
    u32 segment[6]; /* CS SS DS ES FS GS */
    u8 st[8][10];
    u32 x87[8]; /* fctrl fstat ftag fiseg fioff foseg fooff fop */
    u8 xmm[16][16];
    u32 mxcsr;
    u64 segment_base[2]; /* FS GS */
    u64 system[GDB_SYSTEM];
};

/* The names of `system`, in their order. */
enum gdb_system {
    GDB_K_GS_BASE,
    GDB_CR0,
    GDB_CR2,
    GDB_CR3,
    GDB_CR4,
    GDB_CR8,
    GDB_EFER,
    GDB_GDT_BASE,
    GDB_GDT_LIMIT,
    GDB_IDT_BASE,
    GDB_IDT_LIMIT,
    GDB_TR_BASE,
    GDB_CPL,
    GDB_STAR,
    GDB_LSTAR,
    GDB_CSTAR,
    GDB_SFMASK,
    GDB_PAT,
};

/* The types of points, with the protocol's numbers. */
enum gdb_point_type {
    GDB_SOFTWARE,
    GDB_HARDWARE,
    GDB_WRITE,
    GDB_READ,
    GDB_ACCESS,
    GDB_POINT_TYPES
};

struct gdb_point {
    enum gdb_point_type type;
    u64 address, size;
};

enum gdb_signal { GDB_SIGNAL_INT = 2, GDB_SIGNAL_TRAP = 5 };

struct gdb_stop {
    u32 thread; /* 1 is the first */
    enum gdb_signal signal;
    bool at_point;
    struct gdb_point point; /* if at_point */
    bool at_beginning;      /* there is no earlier state to go back to */
};

struct gdb;

/* The target. Threads have the numbers 1 to threads(). A function that returns false reports an
 * error to the client. Only `interrupt` is called while the target runs. */
struct gdb_target {
    u32 (*threads)(void *context);
    void (*describe)(void *context, u32 thread, char *out, size_t size);
    bool (*get_registers)(void *context, u32 thread, struct gdb_registers *out);
    bool (*set_registers)(void *context, u32 thread, const struct gdb_registers *in);
    bool (*read)(void *context, u32 thread, u64 address, void *out, size_t size);
    bool (*write)(void *context, u32 thread, u64 address, const void *data, size_t size);
    bool (*insert)(void *context, const struct gdb_point *point);
    bool (*remove)(void *context, const struct gdb_point *point);
    void (*resume)(void *context, u32 step); /* thread that makes one step; 0: none */
    /* Goes back by one instruction, or to the previous point; NULL: the target cannot go back. */
    void (*reverse)(void *context, bool one_instruction);
    void (*interrupt)(void *context); /* asks for gdb_stopped() */
    void (*detach)(void *context);    /* the client leaves, the target goes on */
    void (*kill)(void *context);
    /* Runs a command of the client's `monitor`, and answers with gdb_print(). */
    void (*monitor)(void *context, struct gdb *gdb, u32 thread, const char *command);
    void (*send)(void *context, const void *data, size_t size);
    void *context;
};

/* Begins a session. The target must be stopped before the first byte is fed. Returns NULL if there
 * is no memory. */
struct gdb *gdb_open(const struct gdb_target *target, const struct gdb_stop *first);
void gdb_close(struct gdb *gdb);
/* Copy a session's state, without its target, to or from a buffer of gdb_state_size() bytes. For a
 * target that goes on as another process of the same program. */
size_t gdb_state_size(void);
void gdb_save(const struct gdb *gdb, void *out);
void gdb_restore(struct gdb *gdb, const void *in);
void gdb_feed(struct gdb *gdb, const u8 *data, size_t size);
bool gdb_target_runs(const struct gdb *gdb);
bool gdb_ended(const struct gdb *gdb); /* because the client asked for it, or with the target */
/* Tell the client that the target has stopped, or that it has ended with this status. */
void gdb_stopped(struct gdb *gdb, const struct gdb_stop *stop);
void gdb_exited(struct gdb *gdb, u8 status);
/* Shows text on the client's console; only during `monitor`. */
void gdb_print(struct gdb *gdb, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
