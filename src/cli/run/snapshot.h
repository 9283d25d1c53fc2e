/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of a run: a file that holds the options which made the machine, the state of the whole
 * machine, and a SHA-256 over both. `softsev resume` makes a machine by the same options, without a
 * launch, and loads the state into it.
 */
#ifndef SOFTSEV_CLI_RUN_SNAPSHOT_H
#define SOFTSEV_CLI_RUN_SNAPSHOT_H

#include "base/archive.h"

#include <stdio.h>

struct run;
struct options;

#define SNAPSHOT_WORDS_MAX 64u

/* A snapshot that is being read: its options are known, its machine is not loaded yet. */
struct snapshot {
    const char *path;
    FILE *file; /* NULL: none */
    struct crypto_sha256 *hash;
    struct archive archive;
    struct error error;              /* of the archive */
    char *words[SNAPSHOT_WORDS_MAX]; /* "--kernel=/boot/vmlinuz", ... */
    u32 word_count;
};

/* Reads the beginning of a snapshot. Returns -1 and an error: absent, unreadable, no snapshot. The
 * caller closes it in both cases. */
int snapshot_open(const char *path, struct snapshot *s, struct error *e);
void snapshot_close(struct snapshot *s);
/* Loads the state into a machine that was made by the snapshot's options, and checks the whole
 * file. After an error the machine can only be destroyed. */
int snapshot_load(struct snapshot *s, struct run *r, struct error *e);

/* The machine time at which the run must stop for the next snapshot; at most `limit_ns`. */
u64 run_snapshot_limit(const struct run *r, u64 limit_ns);
/* Between two slices: takes a snapshot if it is time, or if one was asked for. One that cannot be
 * written is an error at the end of the run. */
void run_snapshot_look(struct run *r);
/* When the run has ended: -1 and an error if a snapshot that was asked for is not there. */
int run_snapshot_end(const struct run *r, struct error *e);
/* Takes one now. Returns -1 and an error, and the run can go on. */
int run_snapshot_take(struct run *r, struct error *e);

/* Parses machine time in seconds with up to nine decimals, for an option of the kind
 * OPTION_PARSED: nanoseconds. */
bool run_parse_machine_time(const char *text, u64 *out);
#define RUN_MACHINE_TIME_SHOULD "seconds of machine time such as 2.5, at most 1000000"

#endif
