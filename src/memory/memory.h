/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DRAM and the memory controller. DRAM is an array of 4 KiB frames. A frame holds one
 * copy of its bytes in the *view* of whoever used it last: raw (what a probe on the bus reads) or
 * decrypted under one key. An access names a key; if the frame is in another view it is flipped
 * first, so every reader sees what coherent hardware would show, and a guest at work on its own
 * memory pays nothing.
 *
 * Nobody but a core's TLB keeps a pointer to a frame; everyone else goes through memory_read/write.
 */
#ifndef SOFTSEV_MEMORY_MEMORY_H
#define SOFTSEV_MEMORY_MEMORY_H

#include "base/base.h"
#include "base/random.h"
#include "base/trace.h"

struct memory;

/* The key of an access: 0 is none (raw), 1..asids is the slot of that ASID, KEY_FIRMWARE is the
 * secure processor's own. An ASID without a loaded key behaves as raw: the bytes go through
 * unchanged. */
typedef u16 memory_key;
#define KEY_RAW      0
#define KEY_FIRMWARE 0xffff

struct memory_config {
    u64 size;  /* bytes of DRAM, a multiple of 4 KiB */
    u32 asids; /* highest ASID; slots 1..asids */
    /* DRAM ignores the address bit above its size, which is a power of two: each byte has a second
     * address there (BadRAM). Cores have no translations to it; reads and writes of host and
     * firmware reach it. */
    bool aliased;
    struct trace *trace;
    /* tweak secret and the firmware's key; used at creation only */
    const struct random_source *random;
};

/* What a core asks to be told, before the bytes change. */
struct memory_listener {
    /* The frame is about to change its view or owner:
     * drop it from TLBs and drop its decoded blocks. */
    void (*frame_lost)(void *context, u64 frame);
    /* Many frames are: empty the TLBs, so that frame_lost, which names each, need not search
     * them. */
    void (*mappings_lost)(void *context);
    /* Somebody writes bytes [offset, offset+size) of a frame that holds code. */
    void (*code_written)(void *context, u64 frame, u32 offset, u32 size);
    /* A frame without code holds some now: stores to it must be told by memory_code_write. */
    void (*code_marked)(void *context, u64 frame);
    void *context;
    struct memory_listener *next;
};

struct memory_statistics {
    u64 flips;                    /* view changes, all kinds */
    u64 encryptions, decryptions; /* pages through the cipher */
    u64 frames_touched;           /* read or written at least once; only these cost host memory */
};

/* NULL if the address space for `size` cannot be reserved. Untouched frames cost nothing. */
struct memory *memory_create(const struct memory_config *config);
void memory_destroy(struct memory *m);
u64 memory_size(const struct memory *m);
u64 memory_addresses(
    const struct memory *m); /* at which something answers: the size, or twice that */
u32 memory_asids(const struct memory *m);
void memory_listen(struct memory *m, struct memory_listener *listener);
struct memory_statistics memory_statistics(const struct memory *m);

/* --- Key slots: the firmware's side ----------------------------------------------------------- */

/* Loads a key into an ASID's slot. False: no such ASID, or the slot holds a key already. */
bool memory_key_load(struct memory *m, u32 asid, const u8 key[16]);
/* Empties the slot. Frames in its view are ciphertext to everybody from here on: they are encrypted
 * back, or kept until somebody looks. Nothing happens if it is empty. */
void memory_key_unload(struct memory *m, u32 asid);
bool memory_key_loaded(const struct memory *m, u32 asid);

/* --- Accesses by system physical address; a range may cross frames ---------------------------- */

/* False if the range is not inside DRAM; nothing is read or written then. */
bool memory_read(struct memory *m, u64 spa, memory_key key, void *out, size_t size);
bool memory_write(struct memory *m, u64 spa, memory_key key, const void *data, size_t size);
/* As memory_read, but leaves the frame in its view (traces, tests, dumps). */
bool memory_peek(struct memory *m, u64 spa, memory_key key, void *out, size_t size);

/* LAUNCH_UPDATE_DATA of a range (multiples of 16 bytes): calls `measure` with the raw bytes, in
 * order, in pieces of at most a frame; then those bytes are the plaintext under `asid`. A whole
 * frame is only relabelled; no cipher runs. False if the range is not inside DRAM (nothing
 * measured). */
bool memory_launch(struct memory *m, u64 spa, u64 size, u32 asid,
                   void (*measure)(void *context, const void *bytes, size_t size), void *context);

/* --- Integrity of VMSAs without SNP [cpu 6.10] ------------------------------------------------ */

/* Keeps a check value of the VMSA in this frame, as it reads under the key now, where no host
 * reaches it: at LAUNCH_UPDATE_VMSA and at each exit. Nothing happens if the address is not that of
 * a frame. */
void memory_vmsa_seal(struct memory *m, u64 spa, memory_key key);
/* The frame holds what it held when it was sealed. */
bool memory_vmsa_intact(struct memory *m, u64 spa, memory_key key);

/* --- For a core's TLB only -------------------------------------------------------------------- */

/* Brings the frame into the key's view and marks it as mapped; the pointer stays good until
 * frame_lost names the frame. NULL if the frame is not in DRAM. */
u8 *memory_map(struct memory *m, u64 frame, memory_key key);
/* A core holds code that it has decoded from the frame, from now on or no longer; each says it
 * once. */
void memory_mark_code(struct memory *m, u64 frame, bool code);
/* Some core does. */
bool memory_holds_code(const struct memory *m, u64 frame);
/* Before a core's store to such a frame: all cores drop what they decoded from these bytes. */
void memory_code_write(struct memory *m, u64 frame, u32 offset, u32 size);

/* How many frames are held in the view of this ASID's key now. */
u64 memory_private_frames(const struct memory *m, u32 asid);

#endif
