/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory: killed at every step of every write, corrupt in every byte, locked, somebody
 * else's. The killing is real: a child process ends itself inside the step.
 */
#include "state/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const names[] = {"fuses", "store", "authority", "cek", "profile", "committed"};

struct folder {
    char path[64];
};

static void folder_make(struct folder *f)
{
    strcpy(f->path, "/tmp/softsev-state-XXXXXX");
    assert_non_null(mkdtemp(f->path));
}

static void folder_remove(struct folder *f)
{
    DIR *d = opendir(f->path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(f->path);
}

static int count_leftovers(const struct folder *f)
{
    int count = 0;
    DIR *d = opendir(f->path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        count += strstr(e->d_name, FILE_NEW_SUFFIX) != NULL;
    closedir(d);
    return count;
}

static size_t read_file(const struct folder *f, const char *name, u8 *out, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size);
    if (fd >= 0)
        close(fd);
    assert_true(n >= 0);
    return (size_t)n;
}

static void write_file(const struct folder *f, const char *name, const u8 *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static void remove_file(const struct folder *f, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    unlink(path);
}

static struct state *open_at(const struct folder *f)
{
    struct error e = {.code = ERROR_NONE};
    struct state *s = state_open(f->path, NULL, &e);
    if (!s)
        print_message("# %s\n", e.text);
    assert_non_null(s);
    return s;
}

/* --- Killed ----------------------------------------------------------------------------------- */

struct killer {
    unsigned steps, kill_at;
};

static void kill_at_step(void *context, const char *name)
{
    struct killer *k = context;
    (void)name;
    if (++k->steps == k->kill_at)
        _exit(42);
}

/* The platform of the directory, powered on; PDH_GEN replaces its store. */
static struct firmware *power_on(struct state *s, struct crypto *c, struct memory *m)
{
    struct firmware_config config = {.memory = m,
                                     .crypto = c,
                                     .store = state_store(s),
                                     .asid_min = 1,
                                     .asid_max = 1,
                                     .cores = 1,
                                     .fuses = {7}};
    struct firmware *fw = firmware_create(&config);
    assert_non_null(fw);
    return fw;
}

struct board {
    struct crypto *crypto;
    struct memory *memory;
    struct firmware *firmware;
};

static struct board board_make(struct state *s, const char *seed)
{
    struct board b;
    b.crypto = crypto_create(seed, strlen(seed));
    struct random_source random = crypto_random_source(b.crypto);
    b.memory =
        memory_create(&(struct memory_config){.size = KIB(64), .asids = 1, .random = &random});
    b.firmware = power_on(s, b.crypto, b.memory);
    return b;
}

static void board_free(struct board *b)
{
    firmware_destroy(b->firmware);
    memory_destroy(b->memory);
    crypto_destroy(b->crypto);
}

static u32 init_and(struct board *b, u32 command)
{
    u32 status = firmware_mailbox(b->firmware, SEV_CMD_INIT, 0);
    return status ? status : firmware_mailbox(b->firmware, command, 0);
}

/* In a child: opens the directory with the killer in place and runs INIT and the command. */
static int run_and_die(const struct folder *f, u32 command, unsigned kill_at)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct killer killer = {.kill_at = kill_at};
        struct file_hook hook = {.step = kill_at_step, .context = &killer};
        struct error e = {.code = ERROR_NONE};
        struct state *s = state_open(f->path, &hook, &e);
        if (!s)
            _exit(1);
        struct board b = board_make(s, "child");
        _exit(init_and(&b, command) == SEV_STATUS_SUCCESS ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* After a kill: the directory opens, and the store is the old one or the new one,
 * which INIT accepts. */
static void check_after_kill(const struct folder *f, const u8 *old, size_t old_size, bool *was_old,
                             bool *was_new)
{
    u8 store[8192];
    struct state *s = open_at(f);
    size_t size = read_file(f, "store", store, sizeof store);
    bool same = size == old_size && !memcmp(store, old, size);
    *was_old |= same;
    *was_new |= !same;
    struct board b = board_make(s, "parent");
    assert_int_equal(init_and(&b, SEV_CMD_NOP), SEV_STATUS_SUCCESS);
    board_free(&b);
    state_close(s);
    assert_int_equal(count_leftovers(f), 0);
}

static void killed_at_any_step(u32 command, bool store_exists)
{
    struct folder f;
    u8 old[8192];
    bool was_old = false, was_new = false;
    folder_make(&f);
    if (store_exists)
        assert_int_equal(run_and_die(&f, SEV_CMD_NOP, 0), 0);
    size_t old_size = read_file(&f, "store", old, sizeof old);
    assert_int_equal(old_size > 0, store_exists);
    int result = 42;
    unsigned at = 1;
    for (; result == 42; at++) {
        assert_true(at < 30);
        result = run_and_die(&f, command, at);
        check_after_kill(&f, old, old_size, &was_old, &was_new);
        if (store_exists)
            write_file(&f, "store", old, old_size);
        else
            remove_file(&f, "store");
    }
    assert_int_equal(result, 0);
    assert_true(at > 3);
    assert_true(was_new);
    assert_true(was_old);
    folder_remove(&f);
}

static void killed_while_it_writes_the_store_it_has_the_old_or_the_new_one(void **state)
{
    (void)state;
    killed_at_any_step(SEV_CMD_PDH_GEN, true);
}

static void killed_while_it_makes_the_first_store_it_has_none_or_all(void **state)
{
    (void)state;
    killed_at_any_step(SEV_CMD_NOP, false);
}

static void killed_while_it_resets_it_has_the_old_store_or_one_without_keys(void **state)
{
    (void)state;
    struct folder f;
    u8 old[8192], now[8192];
    folder_make(&f);
    assert_int_equal(run_and_die(&f, SEV_CMD_NOP, 0), 0);
    size_t old_size = read_file(&f, "store", old, sizeof old);
    bool emptied = false;
    for (unsigned at = 1, result = 42; result == 42; at++) {
        pid_t child = fork();
        if (child == 0) {
            struct killer killer = {.kill_at = at};
            struct file_hook hook = {.step = kill_at_step, .context = &killer};
            struct error e = {.code = ERROR_NONE};
            struct state *s = state_open(f.path, &hook, &e);
            struct board b = board_make(s, "child");
            firmware_mailbox(b.firmware, SEV_CMD_PLATFORM_RESET, 0);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        result = (unsigned)WEXITSTATUS(status);
        assert_true(result == 42 || result == 0);
        struct state *s = open_at(&f);
        size_t size;
        struct firmware_store store = state_store(s);
        const enum firmware_store_answer answer = store.load(store.context, now, sizeof now, &size);
        assert_true(answer == FIRMWARE_STORE_LOADED || answer == FIRMWARE_STORE_ABSENT);
        size = read_file(&f, "store", now, sizeof now);
        assert_true(size > 0); /* a store that is not there would be a lost one */
        assert_int_equal(answer == FIRMWARE_STORE_LOADED,
                         size == old_size && !memcmp(old, now, size));
        emptied |= answer == FIRMWARE_STORE_ABSENT;
        state_close(s);
    }
    assert_true(emptied);
    folder_remove(&f);
}

/* --- Corrupt ---------------------------------------------------------------------------------- */

static void assert_corrupt(const struct folder *f)
{
    struct error e = {.code = ERROR_NONE};
    assert_null(state_open(f->path, NULL, &e));
    assert_int_equal(e.code, ERROR_STATE);
    assert_null(strchr(e.text, '\n'));
}

static void a_file_that_was_changed_makes_the_directory_corrupt(void **state)
{
    (void)state;
    struct folder f;
    u8 frame[1024], content[31];
    struct error e = {.code = ERROR_NONE};
    folder_make(&f);
    memset(content, 0x5a, sizeof content);
    for (int i = 0; i < STATE_FILES; i++) {
        struct state *s = open_at(&f);
        assert_int_equal(state_write(s, (enum state_file)i, content, sizeof content, &e), 0);
        state_close(s);
        size_t size = read_file(&f, names[i], frame, sizeof frame);
        for (size_t at = 0; at < size; at++) {
            frame[at] ^= 1;
            write_file(&f, names[i], frame, size);
            assert_corrupt(&f);
            frame[at] ^= 1;
        }
        for (size_t cut = 0; cut < size; cut += 13) {
            write_file(&f, names[i], frame, cut);
            assert_corrupt(&f);
        }
        write_file(&f, names[i], frame, size + 1);
        assert_corrupt(&f);
        write_file(&f, names[i], frame, size);
        state_close(open_at(&f));
        write_file(&f, names[(i + 1) % STATE_FILES], frame, size); /* under another name */
        assert_corrupt(&f);
        remove_file(&f, names[(i + 1) % STATE_FILES]);
    }
    folder_remove(&f);
}

static void content_comes_back_and_goes(void **state)
{
    (void)state;
    struct folder f;
    struct error e = {.code = ERROR_NONE};
    u8 in[STATE_FILE_MAX], out[STATE_FILE_MAX];
    size_t got;
    memset(in, 0x3c, sizeof in);
    folder_make(&f);
    struct state *s = open_at(&f);
    assert_int_equal(state_read(s, STATE_STORE, out, sizeof out, &got, &e), STATE_ABSENT);
    assert_int_equal(got, 0);
    assert_int_equal(state_write(s, STATE_STORE, in, sizeof in, &e), 0);
    state_close(s);
    s = open_at(&f);
    assert_int_equal(state_read(s, STATE_STORE, out, sizeof out, &got, &e), 0);
    assert_int_equal(got, sizeof in);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(state_read(s, STATE_STORE, out, 10, &got, &e), STATE_DAMAGED);
    state_close(s);
    folder_remove(&f);
}

/* --- Profile and floor ------------------------------------------------------------------------ */

static const struct firmware_profile *profile(struct state *s, const char *name)
{
    struct error e = {.code = ERROR_NONE};
    const struct firmware_profile *p = NULL;
    assert_int_equal(state_profile(s, name ? firmware_profile_find(name) : NULL, &p, &e), 0);
    return p;
}

static void a_profile_is_kept_for_the_next_time(void **state)
{
    (void)state;
    struct folder f;
    struct error e = {.code = ERROR_NONE};
    const struct firmware_profile *p;
    folder_make(&f);
    struct state *s = open_at(&f);
    assert_ptr_equal(profile(s, NULL), FIRMWARE_PROFILE_DEFAULT);
    assert_string_equal(profile(s, "turin")->name, "turin");
    state_close(s);
    s = open_at(&f);
    assert_string_equal(profile(s, NULL)->name, "turin");
    assert_string_equal(profile(NULL, NULL)->name, FIRMWARE_PROFILE_DEFAULT->name);
    assert_int_equal(state_write(s, STATE_PROFILE, "venice", 6, &e), 0);
    e = (struct error){.code = ERROR_NONE};
    assert_int_equal(state_profile(s, NULL, &p, &e), -1);
    assert_int_equal(e.code, ERROR_STATE);
    assert_string_equal(profile(s, "milan")->name, "milan"); /* the way out */
    assert_string_equal(profile(s, NULL)->name, "milan");
    state_close(s);
    folder_remove(&f);
}

static void the_floor_of_a_product_lets_nothing_older_start(void **state)
{
    (void)state;
    struct folder f;
    struct error e = {.code = ERROR_NONE};
    struct firmware_committed floor;
    folder_make(&f);
    struct state *s = open_at(&f);
    assert_int_equal(state_committed(s, profile(s, "milan-1.55"), &floor, &e), 0);
    assert_int_equal(floor.tcb, 0);
    const struct firmware_committed now = {profile(s, "milan-1.55")->tcb, 1, 55, 29};
    assert_true(state_commit(s, &now));
    state_close(s);
    s = open_at(&f);
    assert_int_equal(state_committed(s, profile(s, "milan-1.58"), &floor, &e), 0);
    assert_memory_equal(&floor.tcb, &now.tcb, sizeof now.tcb);
    assert_int_equal(floor.build, 29);
    assert_int_equal(state_committed(s, profile(s, "genoa"), &floor, &e), 0);
    assert_int_equal(floor.tcb, 0);
    assert_int_equal(state_committed(s, profile(s, "naples"), &floor, &e), 0);
    const struct firmware_profile *older;
    assert_int_equal(state_profile(s, firmware_profile_find("milan-1.52"), &older, &e), -1);
    assert_int_equal(e.code, ERROR_FIRMWARE);
    assert_non_null(strstr(e.text, "milan-1.52"));
    assert_string_equal(profile(s, NULL)->name, "naples"); /* what cannot start is not kept */
    e = (struct error){.code = ERROR_NONE};
    assert_int_equal(state_committed(s, firmware_profile_find("milan-1.51"), &floor, &e), -1);
    assert_int_equal(e.code, ERROR_FIRMWARE);
    assert_int_equal(state_write(s, STATE_COMMITTED, "short", 5, &e), 0);
    e = (struct error){.code = ERROR_NONE};
    assert_int_equal(state_committed(s, firmware_profile_find("milan"), &floor, &e), -1);
    assert_int_equal(e.code, ERROR_STATE);
    state_close(s);
    folder_remove(&f);
}

/* Every file, killed at every step of its writing: the old content or the new one. */
static void killed_while_it_writes_any_file_it_has_the_old_or_the_new_one(void **state)
{
    (void)state;
    for (int i = 0; i < STATE_FILES; i++) {
        const enum state_file file = (enum state_file)i;
        struct error e = {.code = ERROR_NONE};
        struct folder f;
        u8 out[64];
        size_t got;
        bool was_old = false, was_new = false;
        folder_make(&f);
        for (unsigned at = 1, result = 42; result == 42; at++) {
            struct state *s = open_at(&f);
            assert_int_equal(state_write(s, file, "old content", 11, &e), 0);
            state_close(s);
            pid_t child = fork();
            if (child == 0) {
                struct killer killer = {.kill_at = at};
                struct file_hook hook = {.step = kill_at_step, .context = &killer};
                s = state_open(f.path, &hook, &e);
                _exit(s && !state_write(s, file, "the new one", 11, &e) ? 0 : 1);
            }
            int status;
            assert_int_equal(waitpid(child, &status, 0), child);
            result = (unsigned)WEXITSTATUS(status);
            assert_true(result == 42 || result == 0);
            s = open_at(&f);
            assert_int_equal(state_read(s, file, out, sizeof out, &got, &e), 0);
            assert_int_equal(got, 11);
            was_old |= !memcmp(out, "old content", 11);
            was_new |= !memcmp(out, "the new one", 11);
            assert_true(!memcmp(out, "old content", 11) || !memcmp(out, "the new one", 11));
            state_close(s);
        }
        assert_true(was_old && was_new);
        folder_remove(&f);
    }
}

/* --- Locked, not ours ------------------------------------------------------------------------- */

static void one_process_at_a_time_has_it(void **state)
{
    (void)state;
    struct folder f;
    struct error e = {.code = ERROR_NONE};
    folder_make(&f);
    struct state *s = open_at(&f);
    assert_null(state_open(f.path, NULL, &e));
    assert_int_equal(e.code, ERROR_LOCKED);
    state_close(s);
    state_close(open_at(&f));
    folder_remove(&f);
}

static void others_read_while_one_has_it(void **state)
{
    (void)state;
    struct folder f;
    struct error e = {.code = ERROR_NONE};
    u8 out[16];
    size_t got;
    folder_make(&f);
    assert_null(state_open_reading(f.path, &e));
    assert_int_equal(e.code, ERROR_STATE);
    assert_null(state_open_reading("/nonexistent", &e));
    struct state *s = open_at(&f);
    e = (struct error){.code = ERROR_NONE};
    assert_int_equal(state_write(s, STATE_FUSES, "secret", 6, &e), 0);
    write_file(&f, "store.new", (const u8 *)"half", 4); /* the other one is writing */
    struct state *r = state_open_reading(f.path, &e);
    assert_non_null(r);
    assert_true(state_is_reading(r) && !state_is_reading(s));
    assert_int_equal(state_read(r, STATE_FUSES, out, sizeof out, &got, &e), 0);
    assert_int_equal(got, 6);
    assert_int_equal(state_write(r, STATE_FUSES, "x", 1, &e), -1);
    assert_int_equal(read_file(&f, "store.new", out, sizeof out), 4);
    state_close(r);
    state_close(s);
    folder_remove(&f);
}

static void a_folder_with_other_things_is_left_alone(void **state)
{
    (void)state;
    struct folder f;
    struct error e = {.code = ERROR_NONE};
    folder_make(&f);
    write_file(&f, "letter.txt", (const u8 *)"hello", 5);
    assert_null(state_open(f.path, NULL, &e));
    assert_int_equal(e.code, ERROR_STATE);
    char path[128];
    snprintf(path, sizeof path, "%s/lock", f.path);
    assert_int_not_equal(access(path, F_OK), 0);
    folder_remove(&f);
}

static void secrets_are_for_the_user_alone(void **state)
{
    (void)state;
    struct folder f;
    struct stat st;
    struct error e = {.code = ERROR_NONE};
    folder_make(&f);
    struct state *s = open_at(&f);
    assert_int_equal(state_write(s, STATE_FUSES, "x", 1, &e), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/fuses", f.path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    state_close(s);
    folder_remove(&f);
}

/* A new one would not fit what was made with the lost one. */
static void what_is_lost_is_not_made_anew(void **state)
{
    (void)state;
    struct folder f;
    struct error e = {.code = ERROR_NONE};
    struct state_identity who;
    struct crypto *c = crypto_create("lost", 4);
    folder_make(&f);
    struct state *s = open_at(&f);
    assert_int_equal(state_write(s, STATE_CEK, "a certificate", 13, &e), 0);
    assert_int_equal(state_identity_open(s, c, NULL, NULL, &who, &e), -1);
    assert_int_equal(e.code, ERROR_STATE);
    assert_non_null(strstr(e.text, "/fuses is missing"));
    assert_non_null(strstr(e.text, f.path));
    state_close(s);
    remove_file(&f, "cek");
    write_file(&f, "store", (const u8 *)"damaged", 7);
    e = (struct error){.code = ERROR_NONE};
    assert_null(state_open(f.path, NULL, &e));
    assert_int_equal(e.code, ERROR_STATE);
    assert_non_null(strstr(e.text, "platform reset"));
    e = (struct error){.code = ERROR_NONE};
    s = state_open_to_reset(f.path, &e);
    assert_non_null(s);
    assert_int_equal(state_identity_open(s, c, NULL, NULL, &who, &e), -1); /* nor beside a store */
    struct firmware_store store = state_store(s);
    u8 blob[16];
    size_t got;
    assert_int_equal(store.load(store.context, blob, sizeof blob, &got), FIRMWARE_STORE_DAMAGED);
    assert_int_equal(got, 0);
    assert_true(store.save(store.context, NULL, 0));
    assert_int_equal(store.load(store.context, blob, sizeof blob, &got), FIRMWARE_STORE_ABSENT);
    state_close(s);
    crypto_destroy(c);
    folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_while_it_writes_the_store_it_has_the_old_or_the_new_one),
        cmocka_unit_test(killed_while_it_makes_the_first_store_it_has_none_or_all),
        cmocka_unit_test(killed_while_it_resets_it_has_the_old_store_or_one_without_keys),
        cmocka_unit_test(a_file_that_was_changed_makes_the_directory_corrupt),
        cmocka_unit_test(content_comes_back_and_goes),
        cmocka_unit_test(a_profile_is_kept_for_the_next_time),
        cmocka_unit_test(the_floor_of_a_product_lets_nothing_older_start),
        cmocka_unit_test(killed_while_it_writes_any_file_it_has_the_old_or_the_new_one),
        cmocka_unit_test(one_process_at_a_time_has_it),
        cmocka_unit_test(others_read_while_one_has_it),
        cmocka_unit_test(a_folder_with_other_things_is_left_alone),
        cmocka_unit_test(what_is_lost_is_not_made_anew),
        cmocka_unit_test(secrets_are_for_the_user_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
