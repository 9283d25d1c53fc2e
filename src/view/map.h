/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory as a map of frames: under whose key each frame is held, and what the RMP says of it. A map
 * is made from the events of a trace, or by looking at a machine frame by frame. Events can come
 * from anybody: the map's size is bounded, and addresses outside of it change nothing.
 */
#ifndef SOFTSEV_VIEW_MAP_H
#define SOFTSEV_VIEW_MAP_H

#include "abi/rmp.h"
#include "view/event.h"

#define VIEW_MEMORY_MAX (1ull << 40) /* bytes */
#define VIEW_CHUNK      512u         /* frames of 2 MiB */
#define VIEW_KEY_RAW    0u
#define VIEW_KEY_GONE   0xfffeu /* encrypted under a key that was unloaded */
#define VIEW_KEY_CHIP   0xffffu /* the secure processor's own */
#define VIEW_ASIDS_MAX  0x1000u

struct view_frame {
    u16 key;    /* the key of the frame's view: VIEW_KEY_RAW, an ASID, ... */
    u16 asid;   /* the ASID in the RMP's entry */
    u8 state;   /* enum rmp_state */
    bool large; /* the RMP entry covers 2 MiB and begins here */
};

/* A chunk of 2 MiB: one value for all of it, or one for each frame. */
struct view_chunk {
    struct view_frame all;
    struct view_frame *each; /* VIEW_CHUNK of them; NULL: all are alike */
};

/* The kinds of change that an event makes in the map. A listener can repeat them without knowing
 * any event. */
enum view_change {
    VIEW_SIZE,  /* the map now has `count` frames */
    VIEW_KEY,   /* `value` is the key */
    VIEW_RMP,   /* `value` is the state, and the ASID in bits 31:8 */
    VIEW_REKEY, /* all frames whose key is `first` now have the key `value` */
};

struct view_map {
    u64 frames; /* 0: nothing is known of the machine */
    struct view_chunk *chunks;
    u64 held[VIEW_ASIDS_MAX + 1]; /* frames under the key of each ASID */
    u64 rmp_base, rmp_end;        /* `end` is the last byte; 0: no RMP */
    bool out_of_memory;
    void (*changed)(void *context, enum view_change what, u64 first, u64 count, u32 value);
    void *context;
};

void view_map_init(struct view_map *m);
void view_map_free(struct view_map *m);
/* Makes a map of this much memory, raw and without an RMP. Returns false if it is too much. */
bool view_map_size(struct view_map *m, u64 bytes);
/* Applies an event. */
void view_map_event(struct view_map *m, const struct view_event *e);
struct view_frame view_map_frame(const struct view_map *m, u64 frame);

/* Set the key, or the RMP's state, of frames. */
void view_map_set_key(struct view_map *m, u64 first, u64 count, u32 key);
void view_map_set_rmp(struct view_map *m, u64 first, u64 count, enum rmp_state state, u32 asid);

/* A run of frames that are alike. Begin with first = 0; returns false after the last. */
struct view_run {
    u64 first, count;
    struct view_frame frame;
};
bool view_map_next(const struct view_map *m, struct view_run *run);

/* Returns a key's name: "raw", "asid1", "firmware", "gone". */
const char *view_key_name(u32 key, char out[16]);

#endif
