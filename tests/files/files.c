/* SPDX-License-Identifier: Apache-2.0 */
/* Files that somebody else controls: each wrong kind has its answer, nothing blocks, sets are whole
 * or not there. */
#include "files/files.h"
#include "needs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define NOBODY 65534

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define LIMITED_MEMORY 0 /* the sanitizer itself needs the address space */
#else
#define LIMITED_MEMORY 1
#endif

static const struct file_rule plain = {.size_max = 100},
                              piped = {.size_max = 100, .stream_max = 100},
                              here = {.size_max = 100, .no_link = true},
                              secret = {.size_max = 100, .no_link = true, .secret = true};

static int enter(void **state)
{
    (void)state;
    char path[] = "/tmp/softsev-files-XXXXXX";
    umask(022);
    return mkdtemp(path) ? chdir(path) : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[80] = "rm -rf ", *path = command + strlen(command);
    assert_non_null(getcwd(path, 64));
    assert_int_equal(strncmp(path, "/tmp/softsev-files-", 19), 0);
    return chdir("/") || system(command);
}

static void put(const char *name, const char *text, mode_t mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* A file has exactly this text; NULL: it is not there. */
static void expect(const char *name, const char *text)
{
    struct error e = {.code = ERROR_NONE};
    struct file_data d;
    enum file_answer answer = file_read(name, &plain, &d, &e);
    assert_int_equal(answer, text ? FILE_READ : FILE_ABSENT);
    if (text)
        assert_string_equal((const char *)d.data, text);
    file_free(&d);
}

static void expect_read(const char *name, const struct file_rule *rule, enum file_answer answer,
                        const char *sentence)
{
    struct error e = {.code = ERROR_NONE};
    struct file_data d;
    enum file_answer got = file_read(name, rule, &d, &e);
    if (got != answer || strcmp(e.text, sentence))
        print_message("# %s: %d %s\n", name, (int)got, e.text);
    assert_int_equal(got, answer);
    assert_string_equal(e.text, sentence);
    assert_int_equal(d.data != NULL, answer == FILE_READ);
    file_free(&d);
}

static void each_wrong_file_has_its_answer(void **state)
{
    (void)state;
    put("good", "text", 0600);
    put("open", "text", 0640);
    put("empty", "", 0600);
    put("exact",
        "0123456789012345678901234567890123456789012345678901234567890123456789"
        "012345678901234567890123456789",
        0600);
    put("large",
        "01234567890123456789012345678901234567890123456789012345678901234567890"
        "123456789012345678901234567890",
        0600);
    assert_int_equal(mkdir("folder", 0755), 0);
    assert_int_equal(symlink("good", "link"), 0);
    assert_int_equal(symlink("link", "circle"), 0);
    assert_int_equal(unlink("link") || symlink("circle", "link"), 0);
    assert_int_equal(symlink("good", "straight"), 0);
    expect_read("good", &secret, FILE_READ, "");
    expect_read("empty", &plain, FILE_READ, "");
    expect_read("exact", &plain, FILE_READ, "");
    expect_read("straight", &plain, FILE_READ, "");
    expect_read("none", &plain, FILE_ABSENT, "none: No such file or directory");
    expect_read("good/none", &plain, FILE_ABSENT, "good/none: Not a directory");
    expect_read("link", &plain, FILE_UNREADABLE,
                "link cannot be opened: Too many levels of symbolic links");
    expect_read("large", &plain, FILE_WRONG_SIZE,
                "large has 101 bytes; at most 100 bytes are allowed");
    expect_read("folder", &piped, FILE_WRONG_KIND,
                "folder is a folder; a regular file or a pipe is needed");
    expect_read("/dev/zero", &plain, FILE_WRONG_KIND,
                "/dev/zero is a character device; a regular file is needed");
    expect_read("/dev/zero", &piped, FILE_WRONG_SIZE,
                "/dev/zero gives more than 100 bytes; that is too much");
    expect_read("straight", &here, FILE_WRONG_KIND,
                "straight is a symbolic link; the file itself must stand there");
    expect_read("open", &secret, FILE_WRONG_OWNER,
                "open is open to other users (mode 0640); it must have mode 0600");
    expect_read("/proc/self/comm", &plain, FILE_READ, "");
}

static bool root(void)
{
    return geteuid() == 0;
}

test_that_needs(a_foreign_file_is_refused, .host = root)
{
    (void)state;
    char sentence[200];
    struct error e = {.code = ERROR_NONE};
    int fd;
    put("foreign", "text", 0600);
    assert_int_equal(mkdir("theirs", 0700), 0);
    assert_int_equal(chown("foreign", NOBODY, NOBODY) || chown("theirs", NOBODY, NOBODY), 0);
    snprintf(sentence, sizeof sentence,
             "foreign belongs to user %d; it must belong to user 0 or to root", NOBODY);
    expect_read("foreign", &secret, FILE_WRONG_OWNER, sentence);
    expect_read("foreign", &here, FILE_READ, "");
    assert_int_equal(file_open_own_folder("theirs", &fd, &e), FILE_WRONG_OWNER);
    assert_int_equal(fd, -1);
}

static void a_folder_that_others_may_write_is_not_ours(void **state)
{
    (void)state;
    struct error e = {.code = ERROR_NONE};
    int fd;
    assert_int_equal(mkdir("ours", 0700), 0);
    assert_int_equal(file_open_own_folder("ours", &fd, &e), FILE_READ);
    close(fd);
    assert_int_equal(chmod("ours", 0770), 0);
    assert_int_equal(file_open_own_folder("ours", &fd, &e), FILE_WRONG_OWNER);
    assert_string_equal(e.text, "ours is open to other users (mode 0770); it must have mode 0700");
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void a_pipe_does_not_block(void **state)
{
    (void)state;
    struct error e = {.code = ERROR_NONE};
    const double start = seconds();
    assert_int_equal(mkfifo("fifo", 0600), 0);
    expect_read("fifo", &secret, FILE_WRONG_KIND, "fifo is a pipe; a regular file is needed");
    expect_read("fifo", &piped, FILE_UNREADABLE, "fifo is a pipe, and nobody writes into it");
    assert_null(file_create("fifo", false, &e));
    assert_false(file_write("fifo", "x", 1, false, &e));
    assert_string_equal(e.text, "fifo is a pipe, and nobody reads it");
    assert_true(seconds() - start < 10);
}

static void a_slow_writer_is_waited_for(void **state)
{
    (void)state;
    assert_int_equal(mkfifo("slow", 0600), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        const struct timespec pause = {.tv_nsec = 200000000};
        nanosleep(&pause, NULL);
        int fd = open("slow", O_WRONLY);
        nanosleep(&pause, NULL);
        _exit(write(fd, "ab", 2) == 2 && !nanosleep(&pause, NULL) && write(fd, "cd", 2) == 2 ? 0
                                                                                             : 1);
    }
    struct error e = {.code = ERROR_NONE};
    struct file_data d;
    assert_int_equal(file_read("slow", &piped, &d, &e), FILE_READ);
    assert_string_equal((const char *)d.data, "abcd");
    file_free(&d);
    waitpid(child, NULL, 0);
}

static void a_sparse_file_costs_nothing(void **state)
{
    (void)state;
    struct rlimit before, little;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    put("sparse", "", 0600);
    assert_int_equal(truncate("sparse", (off_t)GIB(2)), 0);
    expect_read("sparse", &plain, FILE_WRONG_SIZE,
                "sparse has 2147483648 bytes; at most 100 bytes are allowed");
    if (!LIMITED_MEMORY)
        return;
    const struct file_rule large = {.size_max = GIB(64)};
    little = (struct rlimit){.rlim_cur = GIB(1), .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
    expect_read("sparse", &large, FILE_NO_MEMORY, "sparse: out of memory for its 2147483648 bytes");
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void a_link_is_not_written_through(void **state)
{
    (void)state;
    put("victim", "precious", 0644);
    assert_int_equal(symlink("victim", "trap"), 0);
    assert_int_equal(link("victim", "twin"), 0);
    struct error e = {.code = ERROR_NONE};
    assert_false(file_write("trap", "x", 1, false, &e));
    assert_string_equal(e.text, "trap is a symbolic link; only a regular file is replaced");
    e = (struct error){.code = ERROR_NONE};
    assert_null(file_create("trap", false, &e));
    assert_string_equal(e.text, "trap is a symbolic link; give the name of the file itself");
    e = (struct error){.code = ERROR_NONE};
    assert_null(file_create("twin", false, &e));
    assert_string_equal(e.text, "twin is a link to a file with other names; give another name");
    expect("victim", "precious");
    e = (struct error){.code = ERROR_NONE};
    assert_true(file_write("twin", "x", 1, false, &e)); /* the other name keeps its file */
    expect("twin", "x");
    expect("victim", "precious");
}

static void a_file_has_its_mode(void **state)
{
    (void)state;
    struct error e = {.code = ERROR_NONE};
    struct stat s;
    put("secret", "old", 0644);
    assert_true(file_write("secret", "new", 3, true, &e));
    assert_int_equal(stat("secret", &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_true(file_write("./public", "new", 3, false, &e));
    assert_int_equal(stat("public", &s), 0);
    assert_int_equal(s.st_mode & 0777, 0644);
    assert_true(file_write("/dev/null", "new", 3, false, &e));
    assert_int_equal(stat("/dev/null", &s), 0);
    assert_true(S_ISCHR(s.st_mode));
}

static void output_that_is_lost_is_an_error(void **state)
{
    (void)state;
    struct error e = {.code = ERROR_NONE};
    FILE *f = file_create("/dev/full", false, &e);
    assert_non_null(f);
    fputs("text", f);
    assert_false(file_close(f, "/dev/full", &e));
    assert_string_equal(e.text, "/dev/full cannot be written to its end: No space left on device");
    e = (struct error){.code = ERROR_NONE};
    assert_false(file_write("/dev/full", "x", 1, false, &e));
    e = (struct error){.code = ERROR_NONE};
    assert_false(file_write("nowhere/x", "x", 1, false, &e));
    e = (struct error){.code = ERROR_NONE};
    assert_false(file_write("nowhere/", "x", 1, false, &e));
    assert_string_equal(e.text, "'nowhere/' does not name a file");
}

/* Kills the process at a step, or makes what a step will do fail. */
struct killer {
    int at, steps;
};

static void kill_at_step(void *context, const char *name)
{
    struct killer *k = context;
    (void)name;
    if (k->steps++ == k->at)
        _exit(42);
}

static const struct file_part parts[] = {{.name = "one", .data = "new1", .size = 4},
                                         {.name = "two", .data = "new2", .size = 4, .secret = true},
                                         {.name = "last", .data = "new3", .size = 4}};

static void a_set_that_cannot_be_whole_is_not_begun(void **state)
{
    (void)state;
    struct error e = {.code = ERROR_NONE};
    assert_int_equal(mkdir("set", 0755), 0);
    put("set/one", "old1", 0644);
    put("set/last", "old3", 0644);
    assert_int_equal(mkdir("set/two", 0755), 0);
    assert_false(file_write_set("set", parts, 3, &e));
    assert_string_equal(e.text, "set/two is a folder; only a regular file is replaced");
    expect("set/one", "old1");
    expect("set/last", "old3");
    assert_int_equal(rmdir("set/two"), 0);
    assert_true(file_write_set("set", parts, 3, &e));
    expect("set/one", "new1");
    expect("set/two", "new2");
    expect("set/last", "new3");
    assert_int_equal(unlink("set/one") || unlink("set/two") || unlink("set/last"), 0);
    assert_int_equal(rmdir("set"), 0); /* nothing else is left in it */
    struct file_part bad[2] = {parts[0], parts[1]};
    bad[1].name = "one/such";
    assert_false(file_write_set("set", bad, 2, &e));
    assert_int_equal(access("set", F_OK), -1);
}

static void a_set_has_folders_and_what_must_not_be_there(void **state)
{
    (void)state;
    struct error e = {.code = ERROR_NONE};
    struct file_set set = {.parts = NULL};
    assert_int_equal(mkdir("mixed", 0755), 0);
    put("mixed/gone", "old", 0644);
    for (int i = 0; i < 20; i++) {
        char name[20];
        snprintf(name, sizeof name, "der/%d", i);
        file_set_add(&set, name, name, strlen(name), false);
    }
    file_set_add(&set, "gone", NULL, 0, false);
    file_set_add(&set, "empty", "", 0, false);
    assert_true(file_set_write("mixed", &set, &e));
    expect("mixed/der/0", "der/0");
    expect("mixed/der/19", "der/19");
    expect("mixed/gone", NULL);
    expect("mixed/empty", "");
    file_set_add(&set, "der", "a folder", 8, false);
    assert_false(file_set_write("mixed", &set, &e));
    assert_string_equal(e.text, "mixed/der is a folder; only a regular file is replaced");
    expect("mixed/der/19", "der/19");
    assert_false(file_set_write("other", &set, &(struct error){.code = ERROR_NONE}));
    assert_int_equal(access("other", F_OK), -1);
    file_set_free(&set);
    assert_int_equal(system("test $(ls mixed mixed/der | wc -l) = 25"), 0); /* no temporary file */
}

/* Returns true if a file is whole: its old content, or its new one. */
static void a_new_secret_takes_no_files_place(void **state)
{
    (void)state;
    struct stat st;
    struct error e = {.code = ERROR_NONE};
    struct file_set set = {.parts = NULL};
    assert_int_equal(mkdir("keys", 0755), 0);
    file_set_add_new_secret(&set, "key", "first", 5, "move it away first");
    file_set_add(&set, "public", "first", 5, false);
    assert_true(file_set_write("keys", &set, &e));
    assert_int_equal(stat("keys/key", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    file_set_free(&set);
    file_set_add_new_secret(&set, "key", "second", 6, "move it away first");
    file_set_add(&set, "public", "second", 6, false);
    assert_false(file_set_write("keys", &set, &e));
    assert_string_equal(e.text,
                        "keys/key is there already and is not replaced; move it away first");
    expect("keys/key", "first");
    expect("keys/public", "first");
    file_set_free(&set);
}

/* Returns what opening answers. A pipe without a reader or writer must not be waited for. */
static int open_once(const char *name, int flags)
{
    int fd = file_open_regular(AT_FDCWD, name, flags);
    if (fd < 0)
        return fd;
    assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
    close(fd);
    return 0;
}

static void only_a_regular_file_is_opened_as_one(void **state)
{
    (void)state;
    assert_int_equal(open_once("made", O_RDWR), -ENOENT);
    assert_int_equal(open_once("made", O_RDWR | O_CREAT), 0);
    assert_int_equal(open_once("made", O_RDONLY), 0);
    assert_int_equal(symlink("made", "alias"), 0);
    assert_int_equal(open_once("alias", O_RDONLY), -ELOOP);
    assert_int_equal(mkfifo("pipe-end", 0600), 0);
    alarm(10);
    assert_int_equal(open_once("pipe-end", O_RDONLY), -EIO);
    assert_int_equal(open_once("pipe-end", O_RDWR), -EIO);
    assert_int_equal(open_once("pipe-end", O_WRONLY), -EIO);
    alarm(0);
    assert_int_equal(open_once("/dev/null", O_RDONLY), -EIO);
    assert_int_equal(open_once(".", O_RDONLY), -EIO);
}

static bool is_new(const char *name, const char *old, const char *new)
{
    struct error e = {.code = ERROR_NONE};
    struct file_data d;
    if (file_read(name, &plain, &d, &e))
        return false;
    bool answer = !strcmp((const char *)d.data, new);
    assert_true(answer || !strcmp((const char *)d.data, old));
    file_free(&d);
    return answer;
}

static void a_set_killed_at_any_step_has_no_mixed_commit_point(void **state)
{
    (void)state;
    bool completed = false;
    for (int at = 0; !completed; at++) {
        char folder[32];
        snprintf(folder, sizeof folder, "killed%d", at);
        assert_int_equal(mkdir(folder, 0755) || chdir(folder), 0);
        put("one", "old1", 0644);
        put("two", "old2", 0600);
        put("last", "old3", 0644);
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            struct killer killer = {.at = at};
            struct file_hook hook = {kill_at_step, &killer};
            struct error e = {.code = ERROR_NONE};
            int fd = open(".", O_RDONLY | O_DIRECTORY);
            _exit(file_replace_at(fd, NULL, parts, 3, &hook, &e) ? 0 : 1);
        }
        int status;
        waitpid(child, &status, 0);
        completed = WEXITSTATUS(status) == 0;
        assert_true(completed || WEXITSTATUS(status) == 42);
        bool one = is_new("one", "old1", "new1"), two = is_new("two", "old2", "new2"),
             last = is_new("last", "old3", "new3");
        if (access("last", F_OK) == 0) {
            assert_int_equal(one, last);
            assert_int_equal(two, last);
        }
        assert_true(!completed || last);
        assert_true(at < 40);
        assert_int_equal(chdir(".."), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wrong_file_has_its_answer),
        cmocka_unit_test(a_foreign_file_is_refused),
        cmocka_unit_test(a_folder_that_others_may_write_is_not_ours),
        cmocka_unit_test(a_pipe_does_not_block),
        cmocka_unit_test(a_slow_writer_is_waited_for),
        cmocka_unit_test(a_sparse_file_costs_nothing),
        cmocka_unit_test(a_link_is_not_written_through),
        cmocka_unit_test(a_file_has_its_mode),
        cmocka_unit_test(output_that_is_lost_is_an_error),
        cmocka_unit_test(a_set_that_cannot_be_whole_is_not_begun),
        cmocka_unit_test(a_set_has_folders_and_what_must_not_be_there),
        cmocka_unit_test(a_new_secret_takes_no_files_place),
        cmocka_unit_test(only_a_regular_file_is_opened_as_one),
        cmocka_unit_test(a_set_killed_at_any_step_has_no_mixed_commit_point),
    };
    return cmocka_run_group_tests_name("files_files", tests, enter, leave);
}
