/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the firmware under a fuzz target keeps: whatever it saved first. Keys take longer than all
 * the rest, so they are made once, and every input begins with the same platform.
 */
#ifndef SOFTSEV_FUZZ_KEY_STORE_H
#define SOFTSEV_FUZZ_KEY_STORE_H

#include "firmware/firmware.h"

#include <string.h>

static u8 key_store[FIRMWARE_STORE_MAX];
static size_t key_store_size;

static enum firmware_store_answer key_store_load(void *context, void *out, size_t size, size_t *got)
{
    (void)context;
    (void)size;
    memcpy(out, key_store, key_store_size);
    *got = key_store_size;
    return key_store_size ? FIRMWARE_STORE_LOADED : FIRMWARE_STORE_ABSENT;
}

static bool key_store_save(void *context, const void *data, size_t size)
{
    (void)context;
    if (!key_store_size && size) {
        memcpy(key_store, data, size);
        key_store_size = size;
    }
    return true;
}

static const struct firmware_store first_keys = {.load = key_store_load, .save = key_store_save};

#endif
