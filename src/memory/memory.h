/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DRAM and the memory controller. DRAM is an array of 4 KiB frames. A frame holds one copy of its
 * bytes in the *view* of its last user: raw (what a probe on the bus reads) or decrypted under one
 * key. An access names a key. If the frame is in another view, it is flipped first. So every reader
 * sees what coherent hardware would show, and a guest that works on its own memory pays nothing.
 *
 * Only a core's TLB keeps a pointer to a frame; all other code uses memory_read and memory_write.
 */
#ifndef SOFTSEV_MEMORY_MEMORY_H
#define SOFTSEV_MEMORY_MEMORY_H

#include "base/base.h"
#include "base/random.h"
#include "base/trace.h"

struct memory;

/* The key of an access: 0 is no key (raw), 1..asids is the slot of that ASID, and KEY_FIRMWARE is
 * the secure processor's own key. An ASID without a loaded key behaves as raw: the bytes go through
 * unchanged. */
typedef u16 memory_key;
#define KEY_RAW      0
#define KEY_FIRMWARE 0xffff

struct memory_config {
    u64 size;  /* bytes of DRAM, a multiple of 4 KiB */
    u32 asids; /* highest ASID; slots 1..asids */
    /* DRAM ignores the address bit just above its size, which must be a power of two, so each byte
     * has a second address (BadRAM). Cores cannot translate to the second address; reads and writes
     * by the host and the firmware can reach it. */
    bool aliased;
    struct trace *trace;
    /* source of the tweak secret and the firmware's key; used at creation only */
    const struct random_source *random;
};

/* Notifications that a core asks for. They are sent before the bytes change. */
struct memory_listener {
    /* The frame is about to change its view or its owner: drop it from the TLBs and drop the blocks
     * decoded from it. */
    void (*frame_lost)(void *context, u64 frame);
    /* Many frames are about to change: empty the TLBs. frame_lost still names each frame, but need
     * not search the TLBs then. */
    void (*mappings_lost)(void *context);
    /* Bytes [offset, offset+size) of a frame that holds code are about to be written. */
    void (*code_written)(void *context, u64 frame, u32 offset, u32 size);
    /* A frame without code now holds some: stores to it must call memory_code_write. Or a witness
     * wants to be told of the next store. */
    void (*code_marked)(void *context, u64 frame);
    void *context;
    struct memory_listener *next;
};

struct memory_statistics {
    u64 flips;                    /* view changes, all kinds */
    u64 encryptions, decryptions; /* pages that went through the cipher */
    u64 frames_touched;           /* read or written at least once; only these cost host memory */
};

/* Returns NULL if the address space for `size` cannot be reserved. Untouched frames cost
 * nothing. */
struct memory *memory_create(const struct memory_config *config);
void memory_destroy(struct memory *m);
u64 memory_size(const struct memory *m);
/* Returns the size of the address range that answers: the memory size, or twice that. */
u64 memory_addresses(const struct memory *m);
u32 memory_asids(const struct memory *m);
void memory_listen(struct memory *m, struct memory_listener *listener);
struct memory_statistics memory_statistics(const struct memory *m);

/* --- Key slots: the firmware's side ----------------------------------------------------------- */

/* Loads a key into an ASID's slot. Returns false if there is no such ASID or its slot already holds
 * a key. */
bool memory_key_load(struct memory *m, u32 asid, const u8 key[16]);
/* Empties the slot. Frames in its view read as ciphertext from now on: they are encrypted at once,
 * or at their next access. Does nothing if the slot is empty. */
void memory_key_unload(struct memory *m, u32 asid);
bool memory_key_loaded(const struct memory *m, u32 asid);

/* --- Accesses by system physical address; a range may cross frames ---------------------------- */

/* Read or write a range. Return false if the range is not inside DRAM; nothing is read or written
 * then. */
bool memory_read(struct memory *m, u64 spa, memory_key key, void *out, size_t size);
bool memory_write(struct memory *m, u64 spa, memory_key key, const void *data, size_t size);
/* Reads as memory_read does, but leaves the frame in its view (for traces, tests, dumps). */
bool memory_peek(struct memory *m, u64 spa, memory_key key, void *out, size_t size);

/* Does LAUNCH_UPDATE_DATA for a range (multiples of 16 bytes). Calls `measure` with the raw bytes,
 * in order, at most one frame at a time; the same bytes then become the plaintext under `asid`. A
 * whole frame is only relabelled; no cipher runs. Returns false, without measuring, if the range is
 * not inside DRAM. */
bool memory_launch(struct memory *m, u64 spa, u64 size, u32 asid,
                   void (*measure)(void *context, const void *bytes, size_t size), void *context);

/* --- Integrity of VMSAs without SNP [cpu 6.10] ------------------------------------------------ */

/* Computes a check value of the VMSA in this frame, as it reads under the key now, and keeps it out
 * of the host's reach. Called at LAUNCH_UPDATE_VMSA and at each exit. Does nothing if the address
 * is not that of a frame. */
void memory_vmsa_seal(struct memory *m, u64 spa, memory_key key);
/* Returns true if the frame still holds what it held when it was sealed. */
bool memory_vmsa_intact(struct memory *m, u64 spa, memory_key key);

/* --- For a core's TLB only -------------------------------------------------------------------- */

/* Brings the frame into the key's view and marks it as mapped. The pointer stays valid until
 * frame_lost names the frame. Returns NULL if the frame is not in DRAM. */
u8 *memory_map(struct memory *m, u64 frame, memory_key key);
/* Records that a core now holds code decoded from the frame, or no longer does. Each core reports
 * each change once. */
void memory_mark_code(struct memory *m, u64 frame, bool code);
/* Returns true if some core holds code decoded from the frame. */
bool memory_holds_code(const struct memory *m, u64 frame);
/* Tells all cores to drop what they decoded from these bytes. Call it before a core's store to a
 * frame that holds code. */
void memory_code_write(struct memory *m, u64 frame, u32 offset, u32 size);

/* --- Snapshots -------------------------------------------------------------------------------- */

struct archive; /* base/archive.h */

/* DRAM as a probe on the bus reads it, and where the RMP lies. To save, all frames go to the raw
 * view first, and the cores lose all translations and decoded code: the memory that goes on and the
 * one that is loaded are then the same. A load goes into memory of the same size, whatever it
 * holds; it must come after memory_secrets_archive()'s. */
void memory_archive(struct memory *m, struct archive *a);
/* What no probe can read: the keys of all slots, the tweak secret, the check values of VMSAs. */
void memory_secrets_archive(struct memory *m, struct archive *a);

/* --- Who writes ------------------------------------------------------------------------------- */

/* A store of a program that runs on a core. */
struct memory_store {
    u32 core, asid;
    bool guest;
    u64 rip, time_ns;
};

/* Somebody who is told of each write to a frame; `store` is NULL unless a program made it. Accessed
 * and dirty bits that a core sets, and the RMP, do not count. */
struct memory_witness {
    void (*written)(void *context, u64 frame, const struct memory_store *store);
    void *context;
};

/* NULL: nobody, which costs nothing. Call it before a core has mapped anything. */
void memory_set_witness(struct memory *m, const struct memory_witness *w);
bool memory_has_witness(const struct memory *m);
/* From a core: tells the witness of a store. Later ones to the frame need not be told, until
 * memory_ask_stores(). */
void memory_stored(struct memory *m, u64 frame, const struct memory_store *store);
/* Asks all cores to tell of their next store to the frame. */
void memory_ask_stores(struct memory *m, u64 frame);

/* Returns how many frames are in the view of this ASID's key now. */
u64 memory_private_frames(const struct memory *m, u32 asid);

#endif
